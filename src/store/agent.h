#pragma once

#include "store/session.h"

#include <cstdint>
#include <string>

namespace perdure::store {

/// Writes tasks/<id>/agent.json, durably.
[[nodiscard]] Result<> write_plan(const Session& session, const TaskId& id, const std::string& json);

/// Removes it and the folder: the task was not started after all.
void remove_plan(const Session& session, const TaskId& id);

/// Errors: record_invalid if it is missing or is not a regular file.
[[nodiscard]] Result<std::string> read_plan(const Session& session, const TaskId& id);

/// Opens tasks/<id>/activity.jsonl for appending; makes it if it is missing.
[[nodiscard]] Result<Fd> append_activity(const Session& session, const TaskId& id);

/// A part of it, and its size. Both empty if there is no file.
struct ActivityPart {
  std::string bytes;
  std::int64_t size = 0;
};
[[nodiscard]] Result<ActivityPart> read_activity(const Session& session, const TaskId& id, std::int64_t offset,
                                                 std::int64_t limit);

/// Held while an agent's conversation is resumed, so that of two processes that resume it each knows of the other
/// (L31). Waits for it.
[[nodiscard]] Result<Fd> lock_conversations(const Session& session);

}  // namespace perdure::store
