#include "view/log.h"

#include "base/utf8.h"
#include "base/words.h"

#include <algorithm>
#include <cstring>

namespace perdure::view {
namespace {

constexpr std::int64_t kBlock = 1 << 20;

// The start of the line that contains `at`.
Result<std::int64_t> line_start(const Read& read, std::int64_t at) {
  std::int64_t from = std::max<std::int64_t>(0, at - kLookBack);
  std::optional<std::int64_t> start;
  if (from == 0) start = 0;
  while (from < at) {
    auto chunk = read(from, at - from);
    if (!chunk) {
      const auto next = next_kept(chunk.error());
      if (!next || *next <= from) return std::unexpected(chunk.error());
      start = from = *next;
      continue;
    }
    if (chunk->bytes.empty()) break;
    if (const auto end = chunk->bytes.rfind('\n'); end != std::string::npos)
      start = from + static_cast<std::int64_t>(end) + 1;
    from = chunk->next_offset;
  }
  return start.value_or(at);
}

}  // namespace

Read output_of(const TaskManager& manager, const TaskId& id) {
  return [&manager, id](std::int64_t offset, std::int64_t limit) { return manager.read_output(id, offset, limit); };
}

Read activity_of(const TaskManager& manager, const TaskId& id) {
  return [&manager, id](std::int64_t offset, std::int64_t limit) { return manager.read_activity(id, offset, limit); };
}

std::optional<std::int64_t> next_kept(const Error& error) {
  if (error.code != ErrorCode::output_expired) return std::nullopt;
  const auto next = error.details.find("nextOffset");
  if (next == error.details.end()) return std::nullopt;
  const auto parsed = parse_integer(next->second, 0, INT64_MAX);
  return parsed ? std::optional(*parsed) : std::nullopt;
}

Result<Window> window(const Read& read, std::int64_t at, std::int64_t limit, Align align) {
  limit = std::clamp<std::int64_t>(limit, 0, kMostWindow);
  at = std::max<std::int64_t>(at, 0);
  const bool aligned = align == Align::line;
  auto start = aligned ? line_start(read, at) : Result<std::int64_t>(at);
  if (!start) return std::unexpected(start.error());
  auto chunk = read(*start, limit);
  std::optional<Gap> before;
  if (*start > at) before = Gap{at, *start - at};
  if (!chunk) {
    const auto next = next_kept(chunk.error());
    if (!next || *next <= *start) return std::unexpected(chunk.error());
    before = Gap{*start, *next - *start};
    chunk = read(*next, limit);
    if (!chunk) return std::unexpected(chunk.error());
  }
  Window found{.bytes = std::move(chunk->bytes),
               .offset = chunk->offset,
               .next_offset = chunk->next_offset,
               .size = chunk->size,
               .eof = chunk->eof,
               .gap = before};
  if (before) return found;
  // A window that starts within a line starts at a character.
  if (aligned && *start == at && at > 0) {
    const auto skip = continuation_prefix(found.bytes);
    if (skip < found.bytes.size()) {
      found.bytes.erase(0, skip);
      found.offset += static_cast<std::int64_t>(skip);
    }
  }
  // Fewer bytes than expected: some were dropped here, or the rest is still to be read.
  while (found.next_offset < found.size && found.next_offset - *start < limit) {
    auto more = read(found.next_offset, limit - (found.next_offset - *start));
    if (more) {
      if (more->bytes.empty()) break;
      found.bytes += more->bytes;
      found.next_offset = more->next_offset;
      found.size = more->size;
      found.eof = more->eof;
      continue;
    }
    if (const auto next = next_kept(more.error()); next && *next > found.next_offset) {
      found.gap = Gap{found.next_offset, *next - found.next_offset};
      found.next_offset = *next;
    }
    break;
  }
  return found;
}

Result<std::vector<TextLine>> lines_from(const Read& read, std::int64_t at, std::size_t count) {
  std::vector<TextLine> lines;
  while (lines.size() < count) {
    auto part = window(read, at, kMostWindow, Align::none);
    if (!part) return std::unexpected(part.error());
    if (part->gap && part->gap->at == at && part->offset > at) {
      lines.push_back({.offset = at, .next = part->offset, .bytes = {}, .gap = part->gap});
      at = part->offset;
      continue;
    }
    std::string_view rest = part->bytes;
    if (rest.empty()) break;
    const bool last = part->eof || part->next_offset >= part->size || part->gap;
    while (!rest.empty() && lines.size() < count) {
      const auto end = rest.find('\n');
      const bool ends = end != std::string_view::npos;
      std::size_t length = ends ? end : rest.size();
      // The rest of the line comes with the next window.
      if (!ends && !last && length < static_cast<std::size_t>(kMostLine)) break;
      std::size_t step = length + (ends ? 1 : 0);
      if (length > static_cast<std::size_t>(kMostLine)) {
        length = static_cast<std::size_t>(kMostLine);
        length -= incomplete_suffix(rest.substr(0, length));
        step = length;
      }
      const auto next = at + static_cast<std::int64_t>(step);
      lines.push_back({.offset = at, .next = next, .bytes = std::string(rest.substr(0, length)), .gap = {}});
      rest.remove_prefix(step);
      at = next;
    }
    if (part->gap && rest.empty() && lines.size() < count) {
      lines.push_back({.offset = at, .next = part->next_offset, .bytes = {}, .gap = part->gap});
      at = part->next_offset;
      continue;
    }
    if (last && rest.empty() && !part->gap) break;
  }
  return lines;
}

Result<std::vector<TextLine>> lines_before(const Read& read, std::int64_t at, std::size_t count) {
  std::vector<TextLine> lines;  // the last line first
  while (at > 0 && lines.size() < count) {
    const std::int64_t from = std::max<std::int64_t>(0, at - kLookBack);
    auto start = window(read, from, at - from, from == 0 ? Align::none : Align::line);
    if (!start) return std::unexpected(start.error());
    const std::int64_t begin = start->offset;
    if (start->offset >= at) {
      // No earlier bytes are kept within reach: the gap counts as one line, and the window begins where the gap does.
      auto earlier = from;
      while (earlier > 0) {
        const std::int64_t look = std::max<std::int64_t>(0, earlier - kBlock);
        auto kept = read(look, earlier - look);
        if (kept) {
          earlier = kept->next_offset;
          break;
        }
        if (!next_kept(kept.error())) return std::unexpected(kept.error());
        earlier = look;
      }
      lines.push_back({.offset = earlier, .next = at, .bytes = {}, .gap = Gap{earlier, at - earlier}});
      at = earlier;
      continue;
    }
    std::vector<TextLine> found;
    for (std::int64_t p = begin; p < at;) {
      auto some = lines_from(read, p, 512);
      if (!some) return std::unexpected(some.error());
      if (some->empty()) break;
      for (auto& line : *some) {
        if (line.offset >= at) break;
        if (line.next > at && !line.gap) {
          line.bytes.resize(
              static_cast<std::size_t>(std::min(static_cast<std::int64_t>(line.bytes.size()), at - line.offset)));
          line.next = at;
        }
        found.push_back(std::move(line));
      }
      p = some->back().next;
    }
    if (found.empty()) break;
    // The first line may have begun before `begin`; unless there is no more before it, the next round reads it whole.
    const bool partial = begin > 0 && begin == from && found.size() > 1;
    const std::size_t first = partial ? 1 : 0;
    at = found[first].offset;
    for (std::size_t i = found.size(); i-- > first && lines.size() < count;) {
      at = found[i].offset;
      lines.push_back(std::move(found[i]));
    }
  }
  std::ranges::reverse(lines);
  return lines;
}

std::int64_t count_line_ends(std::string_view bytes) {
  // Counts with sums of a word's width, so that the compiler vectorizes it.
  std::int64_t total = 0;
  while (!bytes.empty()) {
    const std::size_t part = std::min<std::size_t>(bytes.size(), 248);
    std::uint8_t sum = 0;
    for (std::size_t i = 0; i < part; ++i) sum = static_cast<std::uint8_t>(sum + (bytes[i] == '\n' ? 1 : 0));
    total += sum;
    bytes.remove_prefix(part);
  }
  return total;
}

Result<bool> LineIndex::advance(const Read& read, std::int64_t bytes) {
  while (bytes > 0) {
    const std::int64_t end_of_block = (counted_ / kBlock + 1) * kBlock;
    auto chunk = read(counted_, std::min(bytes, end_of_block - counted_));
    std::int64_t next = 0;
    if (chunk) {
      if (chunk->bytes.empty()) return false;
      in_block_ += count_line_ends(chunk->bytes);
      next = chunk->next_offset;
      bytes -= static_cast<std::int64_t>(chunk->bytes.size());
    } else {
      const auto kept = next_kept(chunk.error());
      if (!kept || *kept <= counted_) return std::unexpected(chunk.error());
      next = *kept;
    }
    while (next >= static_cast<std::int64_t>(before_block_.size()) * kBlock) {
      before_block_.push_back(before_block_.back() + in_block_);
      in_block_ = 0;
    }
    counted_ = next;
  }
  return true;
}

std::optional<std::int64_t> LineIndex::line_ends_before(const Read& read, std::int64_t offset) const {
  if (offset > counted_ || offset < 0) return std::nullopt;
  const auto block = std::min(offset / kBlock, static_cast<std::int64_t>(before_block_.size()) - 1);
  std::int64_t lines = before_block_[static_cast<std::size_t>(block)];
  for (std::int64_t at = block * kBlock; at < offset;) {
    auto chunk = read(at, offset - at);
    if (!chunk) {
      const auto kept = next_kept(chunk.error());
      if (!kept || *kept <= at) return std::nullopt;
      at = *kept;
      continue;
    }
    if (chunk->bytes.empty()) break;
    lines += count_line_ends(chunk->bytes);
    at = chunk->next_offset;
  }
  return lines;
}

}  // namespace perdure::view
