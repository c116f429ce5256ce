#pragma once

#include "runner/processes/child.h"

namespace runner {

/// One hook command for one event.
struct HookCall {
  const char* command;  // for /bin/sh -c
  const char* event;
  const char* cwd;
  char** environment;
  long timeout_ms;
  int news;  // a file: its standard input
  int log;   // receives its output and its end; below 0: none
};

/// Runs it and returns when it and all its processes have exited, by themselves or, after the time limit, by SIGKILL.
/// For a process that does nothing else: it becomes the subreaper of the hook's processes.
void run_hook(const HookCall& call, const Inherited& inherited);

}  // namespace runner
