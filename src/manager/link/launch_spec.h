#pragma once

#include "base/fd.h"
#include "manager/link/limits.h"
#include <perdure/manager.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace perdure::manager {

/// A hook command and the events for which it runs (contract/hook_events.h).
struct PlannedHook {
  std::uint32_t events = 0;
  std::chrono::seconds timeout{0};
  std::string command;
};

/// Everything that a runner needs to own one task (contract/launch_spec.h).
struct Launch {
  std::string constant_members;
  std::string owner;
  std::string program;
  std::string cwd;
  std::string telemetry_file;
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment;
  std::chrono::milliseconds timeout{0};
  std::chrono::milliseconds idle_timeout{0};
  Input input = Input::null;
  std::optional<TerminalSize> terminal;
  Limits limits;
  std::chrono::milliseconds grace{0};
  std::int64_t output_limit = 0;
  OnOutputLimit on_output_limit = OnOutputLimit::truncate;
  Leftovers leftovers = Leftovers::keep;
  OnTimeout on_timeout = OnTimeout::stop;
  std::optional<std::chrono::milliseconds> detach_timeout;
  bool foreground = false, queued = false, question = false;
  int stream_fd = -1, input_fd = -1;
  int stop_signal = 0;
  int priority = 0;
  std::string after;
  std::string entry_text;
  int max_running = 0;
  bool sync_output = false;
  std::string told_first;  // hooks only: the first members of their input, and the description
  std::string description;
  std::vector<PlannedHook> hooks;
  bool agent = false;            // the command is the driver of a subagent,
  std::string identity;          // members of its record that say where it runs; "": the runner finds out
  std::string note;              // of which this is known: codec::note_members()
  std::uint32_t only_event = 0;  // tell this event of an ended task to the hooks, and do nothing else
};

/// Its bytes, and a memory file that contains them.
[[nodiscard]] std::string launch_spec(const Launch& launch);
[[nodiscard]] Result<Fd> memory_file(std::string_view launch_spec);

}  // namespace perdure::manager
