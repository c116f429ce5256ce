#pragma once

#include "runner/os/fd.h"

#include <string_view>

namespace runner {

/// The status of a task that another one follows. Looks for its runner first, then reads its record.
enum class Predecessor { lives, completed, failed, timed_out, killed, lost, gone, unknown };
[[nodiscard]] Predecessor look_at_predecessor(int tasks_folder, std::string_view id);
/// "ended as failed", for a task that has ended.
[[nodiscard]] std::string_view in_words(Predecessor ended);

/// A connection to the runner of a task, or a negative value. Never blocks.
[[nodiscard]] int connect_to_runner(int tasks_folder, std::string_view id);

/// Finds the top-level member `"status"` of a record of any program. The text is passed in pieces; nested values are
/// skipped.
class StatusFinder {
 public:
  void feed(std::string_view text);
  /// Empty until it is found.
  [[nodiscard]] std::string_view status() const { return {found_, found_bytes_}; }

 private:
  void end_string();
  static constexpr unsigned kLongest = 24;
  char text_[kLongest] = {};
  unsigned bytes_ = 0;
  char found_[kLongest] = {};
  unsigned found_bytes_ = 0;
  int depth_ = 0;
  bool in_string_ = false, escaped_ = false, is_value_ = false, is_status_ = false;
};

}  // namespace runner
