#pragma once

#include "runner/processes/child.h"

namespace runner {

/// One command, told of one event.
struct HookCall {
  const char* command;  // for /bin/sh -c
  const char* event;
  const char* cwd;
  char** environment;
  long timeout_ms;
  int news;  // a file: what it reads on its standard input
  int log;   // where its output and its end are noted; below 0: nowhere
};

/// Runs it and returns when it and everything that it started have ended: by themselves or, when the time is over,
/// by SIGKILL. For a process that does nothing else: it becomes the subreaper of the hook's processes.
void run_hook(const HookCall& call, const Inherited& inherited);

}  // namespace runner
