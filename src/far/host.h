#pragma once

#include "far/channel.h"
#include "far/programs.h"

#include <functional>
#include <optional>
#include <span>

// Operations on another host through a shell: installs this version of perdure there and runs it.
namespace perdure::far {

/// Which machine answers.
struct Welcome {
  std::string machine_id, boot_id, node;  ///< "" if unknown
};

struct Answer {
  Welcome from;
  int exit_status = 0;
  std::string output, errors;
};

/// Checks a host before it is used for the first time.
struct Introduction {
  Welcome from;
  std::string architecture;
  bool has_programs = false;
  bool ends_at_logout = false;  ///< logind there kills a login's processes at logout
  bool lingers = false;         ///< and the user may have a systemd manager that outlives the login
};

class Host {
 public:
  /// `programs` absent: uses `perdure` from the PATH there (`install = false`).
  Host(const ExecutorDefinition& executor, std::optional<Programs> programs)
      : executor_(executor), programs_(std::move(programs)) {}

  /// Runs `perdure --session SESSION WORDS...` there and waits for its end; puts the programs there first where they are
  /// not. `machine`: where another one answers, nothing is run and the error is far_failure(kReplaced).
  /// `in_scope`: so that it outlives the login. `input`: what it reads.
  [[nodiscard]] Result<Answer> call(std::span<const std::string> words, const std::string& machine,
                                    const ChannelOptions& options, bool in_scope = false,
                                    std::string_view input = {}) const;

  /// The same without waiting: the caller reads its output and writes its input.
  [[nodiscard]] Result<Channel> open(std::span<const std::string> words, const std::string& machine,
                                     const ChannelOptions& options, Welcome* welcome = nullptr,
                                     bool in_scope = false) const;

  [[nodiscard]] Result<Introduction> introduce(const ChannelOptions& options) const;

  /// Copies the programs, under a temporary name until they are complete. Errors: task_launch_failed if they don't run.
  [[nodiscard]] Result<> install(const ChannelOptions& options) const;

  [[nodiscard]] const ExecutorDefinition& executor() const { return executor_; }

 private:
  [[nodiscard]] std::string find_lines() const;
  const ExecutorDefinition& executor_;
  std::optional<Programs> programs_;
};

}  // namespace perdure::far
