#pragma once

#include "conditions/pattern.h"
#include <perdure/manager.h>

#include <chrono>
#include <optional>
#include <string>

// Conditions that a caller can wait for besides a task's end. For the front ends; uses the public interface only.
namespace perdure::conditions {

/// Does a line of a task's output match a regular expression (RE2)? Only the first 16 KiB of a line are searched. An
/// incomplete line is searched each time it grows.
class LineMatch {
 public:
  /// Errors: usage, with the reason.
  [[nodiscard]] static Result<LineMatch> compile(TaskManager& manager, TaskId id, const std::string& pattern);

  /// Reads new output. True: a line matched; see line().
  [[nodiscard]] Result<bool> look();
  [[nodiscard]] std::int64_t offset() const { return offset_; }
  /// True when no more output will come.
  [[nodiscard]] bool is_at_end() const { return eof_; }
  /// Starts at `offset`.
  void start_at(std::int64_t offset) { offset_ = offset; }
  /// When to check again without new output: then `$` matches at the end of the incomplete line. Absent: never.
  [[nodiscard]] std::optional<std::chrono::milliseconds> settles_in() const;
  [[nodiscard]] const std::string& line() const { return line_; }

 private:
  LineMatch(TaskManager& manager, TaskId id, Pattern pattern)
      : manager_(&manager), id_(std::move(id)), pattern_(std::move(pattern)) {}
  bool matches(std::string_view line, bool is_whole = true);
  bool matches_in_lines();

  TaskManager* manager_;
  TaskId id_;
  Pattern pattern_;
  std::string partial_, line_;
  std::int64_t offset_ = 0, grew_ms_ = 0;
  std::size_t looked_at_ = 0;  // of partial_
  bool was_still_ = false;
  bool eof_ = false;
};

}  // namespace perdure::conditions
