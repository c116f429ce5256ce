#pragma once

#include "base/fd.h"
#include <perdure/error.h>

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace perdure::acp {

/// An agent's process, with pipes to its three streams and a process group of its own: some agents are wrappers whose
/// native child survives when only the wrapper is killed (measured).
class AgentProcess {
 public:
  /// `environment` is added to this program's. Errors: task_launch_failed.
  [[nodiscard]] static Result<AgentProcess> spawn(const std::vector<std::string>& command,
                                                  const std::map<std::string, std::string>& environment,
                                                  const std::string& cwd);
  AgentProcess(AgentProcess&&) noexcept = default;
  AgentProcess& operator=(AgentProcess&&) = delete;
  /// Kills the whole group unless end() was called.
  ~AgentProcess();

  [[nodiscard]] int input() const { return input_.get(); }
  [[nodiscard]] int output() const { return output_.get(); }
  [[nodiscard]] int errors() const { return errors_.get(); }

  /// Closes its input; if it does not exit, sends SIGTERM, then SIGKILL to the group. Returns how it ended, as text.
  std::string end();

  /// Waits a moment for an exit in progress. "" while it runs.
  [[nodiscard]] std::string how_it_ended(int patience_ms);

 private:
  AgentProcess(pid_t pid, Fd process, Fd input, Fd output, Fd errors)
      : pid_(pid),
        process_(std::move(process)),
        input_(std::move(input)),
        output_(std::move(output)),
        errors_(std::move(errors)) {}
  [[nodiscard]] bool await_end(int patience_ms) const;
  void signal_group(int number) const;

  pid_t pid_;  // of the leader; reaped last, so that the group's number is not reused
  Fd process_, input_, output_, errors_;
};

}  // namespace perdure::acp
