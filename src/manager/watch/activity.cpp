#include "base/clock.h"
#include "base/error.h"
#include "base/try.h"
#include "manager/link/state.h"
#include "store/agent.h"

#include <fmt/format.h>

namespace perdure {

Result<OutputChunk> TaskManager::read_activity(const TaskId& id, std::int64_t offset, std::int64_t limit) const {
  TRY_VOID(state_->check_open());
  if (offset < 0) return fail(ErrorCode::usage, fmt::format("the offset {} is negative", offset));
  if (limit < 0) return fail(ErrorCode::usage, fmt::format("the limit {} is negative", limit));
  // Reads the task before the file: if it has ended, the file is complete.
  TRY(auto task, get(id));
  TRY(auto part, store::read_activity(state_->session, id, offset, limit));
  OutputChunk chunk{.bytes = std::move(part.bytes), .offset = offset};
  chunk.next_offset = offset + static_cast<std::int64_t>(chunk.bytes.size());
  chunk.size = part.size;
  chunk.eof = is_terminal(task.status) && chunk.next_offset >= chunk.size;
  return chunk;
}

}  // namespace perdure
