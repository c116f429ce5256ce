#include "view/task_screen.h"

#include "view/screen.h"

#include <algorithm>
#include <charconv>

namespace perdure::view {
namespace {

constexpr std::int64_t kMostPlayed = 16 << 20, kWindow = 256 << 10;

}  // namespace

Result<TaskScreen> screen_of(const TaskManager& manager, const TaskId& id) {
  const auto known = manager.output_snapshot(id, 0);
  if (!known) return std::unexpected(known.error());
  const TerminalSize size = manager.terminal_size(id).value_or(TerminalSize());
  ScreenText screen(size.rows, size.columns);
  for (std::int64_t offset = std::max<std::int64_t>(0, known->size_bytes - kMostPlayed); offset < known->size_bytes;) {
    auto chunk = manager.read_output(id, offset, std::min(kWindow, known->size_bytes - offset));
    if (!chunk && chunk.error().code == ErrorCode::output_expired) {
      const std::string& next = chunk.error().details["nextOffset"];
      if (std::from_chars(next.data(), next.data() + next.size(), offset).ec == std::errc()) continue;
    }
    if (!chunk) return std::unexpected(chunk.error());
    if (chunk->bytes.empty()) break;
    screen.take(chunk->bytes);
    offset = chunk->next_offset;
  }
  return TaskScreen{.text = screen.text(), .size = size};
}

}  // namespace perdure::view
