#pragma once

#include "base/error.h"
#include "base/fd.h"

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace perdure::far {

/// How a program ended.
struct Ended {
  int exit_code = -1;  ///< -1: ended by a signal
  int signal = 0;
};

/// A program whose three streams are connected to this process. The destructor kills and reaps it. It starts with
/// default signals.
class Child {
 public:
  /// `argv[0]` is looked up in PATH. `environment`: "NAME=VALUE" each. Errors: task_launch_failed.
  [[nodiscard]] static Result<Child> spawn(const std::vector<std::string>& argv,
                                           const std::vector<std::string>& environment);
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  [[nodiscard]] int input() const { return input_.get(); }
  [[nodiscard]] int output() const { return output_.get(); }
  [[nodiscard]] int errors() const { return errors_.get(); }
  [[nodiscard]] Fd take_input() { return std::move(input_); }
  void close_input() { input_.reset(); }

  /// Absent: it has not ended at `until` (steady clock; -1: no limit), or `cancel_fd` became readable.
  [[nodiscard]] std::optional<Ended> wait(std::int64_t until, int cancel_fd = -1);

 private:
  Child(pid_t pid, Fd pidfd, Fd input, Fd output, Fd errors)
      : pid_(pid),
        pidfd_(std::move(pidfd)),
        input_(std::move(input)),
        output_(std::move(output)),
        errors_(std::move(errors)) {}
  void end();

  pid_t pid_ = -1;  // -1: reaped
  Fd pidfd_, input_, output_, errors_;
};

/// The environment of this process without Perdure's variables.
[[nodiscard]] std::vector<std::string> plain_environment();

}  // namespace perdure::far
