#pragma once

#include "base/error.h"
#include "base/fd.h"

#include <string>

namespace perdure::manager {

/// How a runner is started (runner/main.cpp).
struct RunnerStart {
  std::string runner;   // path of the program
  std::string session;  // folder
  std::string id;
  std::string marker;
  const Fd& spec;  // the launch specification
  bool foreground = false;
  int stream_fd = -1;  // foreground: a pipe for the output
  int input_fd = -1;   // foreground: the command's standard input
  std::string entry;   // replaces a killed runner of a queued task: its file in queue/
};

struct RunnerAnswer {
  std::string line;  // contract/control.h, without its end; "" if there was none
  Fd caller;         // foreground: open while a caller waits for the task
};

/// Starts a runner for `tasks/<id>` and waits for its answer. No child is left: the runner detaches itself.
/// Errors: task_launch_failed.
[[nodiscard]] Result<RunnerAnswer> spawn_runner(const RunnerStart& start);

}  // namespace perdure::manager
