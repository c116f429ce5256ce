#pragma once

#include "base/fd.h"
#include "contract/launch_spec.h"
#include "manager/link/limits.h"
#include <perdure/manager.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
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
  RestartOptions restart;
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

/// How often a command is started again at most; 0: no limit.
[[nodiscard]] std::uint32_t most_restarts(const RestartOptions& restart);

/// The header of a specification and the texts behind it, in their order, for an edit.
class SpecParts {
 public:
  /// Absent: the bytes are no specification of this version.
  [[nodiscard]] static std::optional<SpecParts> read(std::string_view bytes);
  [[nodiscard]] std::string bytes();

  contract::LaunchSpec header{};
  [[nodiscard]] std::string& constant_members() { return texts_[0]; }
  [[nodiscard]] std::string& program() { return texts_[4]; }
  [[nodiscard]] const std::string& cwd() const { return texts_[5]; }
  [[nodiscard]] std::string& description() { return texts_[kBefore + header.argc + header.envc + 1]; }
  [[nodiscard]] std::string& cgroup_parent() { return texts_[kBefore + header.argc + header.envc + 2]; }
  [[nodiscard]] std::string& cgroup() { return texts_[kBefore + header.argc + header.envc + 3]; }
  [[nodiscard]] std::string variable(std::string_view name) const;
  void set_argv(const std::vector<std::string>& argv);

 private:
  static constexpr std::size_t kBefore = 7;  // texts before the arguments
  std::vector<std::string> texts_;
};

/// Its bytes, and a memory file that contains them.
[[nodiscard]] std::string launch_spec(const Launch& launch);
[[nodiscard]] Result<Fd> memory_file(std::string_view launch_spec);

}  // namespace perdure::manager
