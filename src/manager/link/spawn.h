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
  int input_fd = -1;   // foreground: what the command reads
  std::string entry;   // of a runner that was killed while it waited in the queue: its file there
};

struct RunnerAnswer {
  std::string line;  // contract/control.h, without its end; "" where there was none
  Fd caller;         // foreground: open as long as somebody waits for the task
};

/// Starts a runner for `tasks/<id>` and waits for its answer. Leaves no child behind: the runner detaches itself.
/// Errors: task_launch_failed.
[[nodiscard]] Result<RunnerAnswer> spawn_runner(const RunnerStart& start);

}  // namespace perdure::manager
