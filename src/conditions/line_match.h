#pragma once

#include <perdure/condition.h>

#include <chrono>
#include <optional>
#include <string>

// What one can wait for besides a task's end. On the public interface only; for the front ends.
namespace perdure::conditions {

/// Is there a line in a task's output for which a test is true? Of a line its first 16 KiB are looked at; one that is
/// not finished each time that it has grown.
class LineMatch {
 public:
  LineMatch(TaskManager& manager, TaskId id, Condition::LineTest test)
      : manager_(&manager), id_(std::move(id)), test_(std::move(test)) {}

  /// Reads what is new. True: a line matched; see line().
  [[nodiscard]] Result<bool> look();
  [[nodiscard]] std::int64_t offset() const { return offset_; }
  /// True when no more output will come.
  [[nodiscard]] bool is_at_end() const { return eof_; }
  /// Only what is written from `offset` on.
  void start_at(std::int64_t offset) { offset_ = offset; }
  /// When to look again although nothing has come: then `$` holds at the end of the unfinished line. Absent: never.
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
