#pragma once

#include "runner/os/fd.h"

#include <string_view>

namespace runner {

/// What can be said of the task that another one is to follow. Its runner is looked for first, then its record is read.
enum class Predecessor { lives, completed, failed, timed_out, killed, lost, gone, unknown };
[[nodiscard]] Predecessor look_at_predecessor(int tasks_folder, std::string_view id);
/// "ended as failed": of one that has ended.
[[nodiscard]] std::string_view in_words(Predecessor ended);

/// A connection to the runner of a task; else what is negative. Never waits.
[[nodiscard]] int connect_to_runner(int tasks_folder, std::string_view id);

/// Finds the member `"status"` of a record, whichever program wrote it and whatever else is in it: fed with the text
/// piece by piece, it looks at strings outside of nested values only.
class StatusFinder {
 public:
  void feed(std::string_view text);
  /// Empty until it was found.
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
