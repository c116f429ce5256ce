#pragma once

#include <perdure/condition.h>

#include <chrono>
#include <optional>
#include <string>

// Conditions that a caller can wait for besides a task's end. For the front ends; uses the public interface only.
namespace perdure::conditions {

/// Is a test true for a line of a task's output? Only the first 16 KiB of a line are tested. An incomplete line is tested
/// each time it grows.
class LineMatch {
 public:
  LineMatch(TaskManager& manager, TaskId id, Condition::LineTest test)
      : manager_(&manager), id_(std::move(id)), test_(std::move(test)) {}

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
  bool matches(std::string_view line, bool is_whole = true);
  bool matches_in_lines();

  TaskManager* manager_;
  TaskId id_;
  Condition::LineTest test_;
  std::string partial_, line_;
  std::int64_t offset_ = 0, grew_ms_ = 0;
  std::size_t looked_at_ = 0;  // of partial_
  bool was_still_ = false;
  bool eof_ = false;
};

}  // namespace perdure::conditions
