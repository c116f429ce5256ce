#include "cli/text/output_tail.h"

#include "base/error.h"
#include "base/try.h"
#include "base/words.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace perdure::cli {
namespace {

constexpr std::int64_t kPart = 256 << 10;
constexpr std::int64_t kMostTailBytes = 16 << 20;

// The last `bytes` kept bytes, and where they begin.
Result<OutputChunk> read_end(const TaskManager& manager, const TaskId& id, std::int64_t bytes) {
  auto all = manager.read_output(id, 0, 0);
  while (!all && all.error().code == ErrorCode::output_expired) {
    auto next = parse_integer(all.error().details["nextOffset"], 0, INT64_MAX);
    if (!next) return all;
    all = manager.read_output(id, *next, 0);
  }
  if (!all) return all;
  OutputChunk end = *all;
  end.bytes.clear();
  end.offset = end.next_offset = std::max<std::int64_t>(0, all->size - bytes);
  while (end.next_offset < all->size) {
    auto part = manager.read_output(id, end.next_offset, std::min(kPart, all->size - end.next_offset));
    if (!part && part.error().code == ErrorCode::output_expired) {
      auto next = parse_integer(part.error().details["nextOffset"], 0, INT64_MAX);
      if (!next) return part;
      end.bytes.clear();
      end.offset = end.next_offset = *next;
      continue;
    }
    if (!part) return part;
    if (part->bytes.empty()) break;
    end.bytes += part->bytes;
    end.next_offset = part->next_offset;
    end.eof = part->eof;
    end.missing = part->missing;
  }
  return end;
}

// Offset in `text` of its last `lines` lines.
std::size_t start_of_lines(std::string_view text, std::int64_t lines) {
  std::size_t at = text.size();
  if (at > 0 && text[at - 1] == '\n') --at;
  for (; lines > 0; --lines) {
    const auto end = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
    if (end == std::string_view::npos) return 0;
    at = end;
  }
  return at + 1;
}

}  // namespace

Result<OutputChunk> read_tail(const TaskManager& manager, const TaskId& id, const TailLength& length) {
  const bool by_lines = length.lines.has_value();
  std::int64_t window = by_lines ? 64 << 10 : length.bytes;
  while (true) {
    // One more byte shows whether the first line is complete.
    TRY(auto end, read_end(manager, id, window + 1));
    if ((by_lines ? *length.lines : length.bytes) == 0) {
      end.bytes.clear();
      end.offset = end.next_offset;
      return end;
    }
    const bool is_short = static_cast<std::int64_t>(end.bytes.size()) <= window;
    const bool is_all = is_short || (by_lines && end.offset == 0);
    std::size_t from = 0;
    if (by_lines) from = start_of_lines(end.bytes, *length.lines);
    if (by_lines && from == 0 && !is_all && window < kMostTailBytes) {
      window *= 8;
      continue;
    }
    if (from == 0 && !is_all) {
      const auto line = end.bytes.find('\n');
      const bool cut = line == std::string::npos || line + 1 == end.bytes.size();
      from = cut ? 1 : line + 1;
      while (cut && from < end.bytes.size() && (static_cast<unsigned char>(end.bytes[from]) & 0xC0U) == 0x80U) ++from;
    }
    end.bytes.erase(0, from);
    end.offset += static_cast<std::int64_t>(from);
    return end;
  }
}

}  // namespace perdure::cli
