#pragma once

#include "store/session.h"

#include <cstdint>
#include <string>

namespace perdure::store {

/// Writes tasks/<id>/agent.json, durably.
[[nodiscard]] Result<> write_plan(const Session& session, const TaskId& id, const std::string& json);

/// Takes it, and the folder, away again: the task was not started after all.
void remove_plan(const Session& session, const TaskId& id);

/// Errors: record_invalid where it is not there or is no regular file.
[[nodiscard]] Result<std::string> read_plan(const Session& session, const TaskId& id);

/// tasks/<id>/activity.jsonl, to be appended to; made where it is not there.
[[nodiscard]] Result<Fd> append_activity(const Session& session, const TaskId& id);

/// A part of it, and its size. Nothing where there is none.
struct ActivityPart {
  std::string bytes;
  std::int64_t size = 0;
};
[[nodiscard]] Result<ActivityPart> read_activity(const Session& session, const TaskId& id, std::int64_t offset,
                                                 std::int64_t limit);

/// Held while the conversation of a subagent is taken up, so that two who try know of each other (L31); waits for it.
[[nodiscard]] Result<Fd> lock_conversations(const Session& session);

}  // namespace perdure::store
