#pragma once

#include <perdure/task.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

// What lists, events and upkeep need of an ended task, in some hundred bytes instead of a Task's kilobytes. No files.
namespace perdure::codec {

/// Views into the bytes that it was unpacked from.
struct Row {
  std::string_view id, description;
  std::optional<std::string_view> name, owner, agent_type, agent_id;
  std::string_view executor_name, executor_type;  ///< empty type: it ran here
  std::optional<std::string_view> executor_place, executor_node;
  std::string_view labels;  ///< packed: visit_labels()
  std::string_view source;  ///< path of the record; empty: `<id>.json` in the session's own folder
  Kind kind = Kind::process;
  Status status = Status::completed;
  Shape shape = Shape::current;
  bool detached = true;
  bool has_runner = false;     ///< its record carries `runner`, or is of a question that Perdure asked
  bool is_mirror = false;      ///< its record carries `executor` and no `runner`
  bool has_leftovers = false;  ///< by its record: they may have ended since
  bool has_dropped = false;    ///< output was dropped
  bool is_notified = false;
  bool is_suppressed = false;
  bool is_remarkable = false;  ///< doctor has something to say of it: look at the record
  std::int64_t started_at = 0;
  std::optional<std::int64_t> ended_at;
  std::optional<int> exit_code, signal;
  std::int64_t started_seq = 0, ended_seq = 0;  ///< 0: none
  std::int64_t output_bytes = 0;
};

/// `source` as in Row.
[[nodiscard]] std::string pack_row(const Task& task, std::string_view source);

/// Absent: the bytes are no row. They may be anybody's: whatever they are, what is returned is a whole row of an ended task
/// with a valid id and texts in UTF-8.
[[nodiscard]] std::optional<Row> unpack_row(std::string_view bytes);

/// The same of bytes that unpack_row() has accepted before: no look at the texts. Only what would leave the bytes is refused.
[[nodiscard]] std::optional<Row> unpack_known_row(std::string_view bytes);

/// Calls for each label until one call returns false; false then.
bool visit_labels(std::string_view labels,
                  const std::function<bool(std::string_view name, std::string_view value)>& visit);

}  // namespace perdure::codec
