#pragma once

#include "far/channel.h"
#include "far/programs.h"

#include <functional>
#include <optional>
#include <span>

// What can be done at a place that is reached through a shell: perdure of our own version is put there and called.
namespace perdure::far {

/// Which machine answers.
struct Welcome {
  std::string machine_id, boot_id, node;  ///< "" where unknown
};

struct Answer {
  Welcome from;
  int exit_status = 0;
  std::string output, errors;
};

/// One look at a place before it is used for the first time.
struct Introduction {
  Welcome from;
  std::string architecture;
  bool has_programs = false;
  bool ends_at_logout = false;  ///< logind there kills what a login started
  bool lingers = false;         ///< and the user may have a manager of their own that outlives it
};

class Host {
 public:
  /// `programs` absent: `perdure` of the PATH there (`install = false`).
  Host(const ExecutorDefinition& executor, std::optional<Programs> programs)
      : executor_(executor), programs_(std::move(programs)) {}

  /// Runs `perdure --session SESSION WORDS...` there and waits for its end; puts the programs there first where they are
  /// not. `machine`: where another one answers, nothing is run and the error is far_failure(kReplaced).
  /// `in_scope`: so that it outlives the login.
  [[nodiscard]] Result<Answer> call(std::span<const std::string> words, const std::string& machine,
                                    const ChannelOptions& options, bool in_scope = false) const;

  /// The same, without waiting: what it prints can be read, what it reads be sent.
  [[nodiscard]] Result<Channel> open(std::span<const std::string> words, const std::string& machine,
                                     const ChannelOptions& options, Welcome* welcome = nullptr,
                                     bool in_scope = false) const;

  [[nodiscard]] Result<Introduction> introduce(const ChannelOptions& options) const;

  /// Copies the programs, under a name of their own until they are whole. Errors: task_launch_failed where they don't run.
  [[nodiscard]] Result<> install(const ChannelOptions& options) const;

  [[nodiscard]] const ExecutorDefinition& executor() const { return executor_; }

 private:
  [[nodiscard]] std::string find_lines() const;
  const ExecutorDefinition& executor_;
  std::optional<Programs> programs_;
};

}  // namespace perdure::far
