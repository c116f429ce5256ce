#pragma once

#include "runner/admission/spec.h"
#include "runner/os/sys.h"
#include "runner/processes/limits.h"

namespace runner {

/// Settings that the runner changed for itself and that the command gets back as they were at `run`.
struct Inherited {
  mode_t umask = 0;
  rlimit open_files{};
  long job_ends = -1;  // in place: when the job has to end, in seconds since the epoch, 0: unknown; -1: not in place
};

/// How far the child got, sent through a pipe that exec closes.
struct ExecFailure {
  enum Step : int { cwd = 1, exec = 2, limits = 3 } step;
  int error;
};

struct ChildPipes {
  int gate;     // one byte: go; end of file: the runner died before the record was durable
  int output;   // stdout and stderr
  int failure;  // close-on-exec
  int input;    // stdin; below 0: none
  bool terminal;
};

/// In a forked child: no signal blocked, the caller's umask and limits, and a higher OOM score.
void become_like_the_caller(const Inherited& inherited);

/// Runs in the forked child; ends in exec or _exit.
[[noreturn]] void become_command(const Spec& spec, const Inherited& inherited, const Limits& limits,
                                 const ChildPipes& pipes, const int (&close_first)[4]);

}  // namespace runner
