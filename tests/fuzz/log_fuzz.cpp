// Any log, cut by any gap: its lines are the same forwards and backwards, and every match of a text is counted.

#include "base/error.h"
#include "view/log.h"
#include "view/search.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace perdure;

struct Log {
  std::string text;
  std::int64_t gap_at = 0, gap_end = 0;

  [[nodiscard]] view::Read read() const {
    return [this](std::int64_t offset, std::int64_t limit) -> Result<OutputChunk> {
      const auto size = static_cast<std::int64_t>(text.size());
      if (offset >= gap_at && offset < gap_end) {
        Error expired{.code = ErrorCode::output_expired, .message = "not kept"};
        expired.details["nextOffset"] = std::to_string(gap_end);
        return std::unexpected(expired);
      }
      std::int64_t end = std::min(size, offset + limit);
      if (offset < gap_at) end = std::min(end, gap_at);
      OutputChunk chunk{.offset = offset, .next_offset = offset, .size = size};
      if (offset < size) {
        chunk.bytes = text.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(end - offset));
        chunk.next_offset = end;
      }
      chunk.eof = chunk.next_offset >= size;
      return chunk;
    };
  }
};

void require(bool holds) {
  if (!holds) std::abort();
}

// Where a line is longer than what is looked back for, its pieces may be others, but they are all of it.
bool has_endless_line(std::string_view text) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    if (end > static_cast<std::size_t>(view::kLookBack) / 2) return true;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return false;
}

void check_lines(const Log& log) {
  const auto read = log.read();
  const auto size = static_cast<std::int64_t>(log.text.size());
  const auto forward = view::lines_from(read, 0, 1 << 20);
  const auto back = view::lines_before(read, size, 1 << 20);
  require(forward && back);
  const auto covers = [size](const std::vector<view::TextLine>& lines) {
    std::int64_t at = 0;
    for (const auto& line : lines) {
      require(line.offset == at && line.next > at);
      at = line.next;
    }
    require(at == size);
  };
  covers(*forward);
  covers(*back);
  if (has_endless_line(log.text)) return;
  require(forward->size() == back->size());
  for (std::size_t i = 0; i < forward->size(); ++i) {
    require((*forward)[i].offset == (*back)[i].offset);
    require((*forward)[i].bytes == (*back)[i].bytes);
  }
}

void check_search(const Log& log, const std::string& wanted) {
  const auto pattern = view::Pattern::compile(wanted, view::Pattern::Mode::text, view::Pattern::Case::exact);
  if (!pattern || wanted.find('\n') != std::string::npos) return;
  std::int64_t naive = 0;
  const auto count = [&](std::string_view part) {
    for (std::size_t from = part.find(wanted); from != std::string_view::npos;
         from = part.find(wanted, from + wanted.size()))
      ++naive;
  };
  const std::string_view text = log.text;
  count(text.substr(0, static_cast<std::size_t>(log.gap_at)));
  count(text.substr(static_cast<std::size_t>(log.gap_end)));
  std::int64_t told = 0;
  const auto end =
      view::search(log.read(), *pattern, {.texts = false, .stop = {}, .progress = {}}, [&](const view::Hit& hit) {
        ++told;
        require(text.substr(static_cast<std::size_t>(hit.offset), static_cast<std::size_t>(hit.length)) == wanted);
      });
  require(end && end->total == naive && told == naive);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  Log log;
  const std::size_t pattern_bytes = data[0] % 8;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 3, size - 3);
  const std::string wanted(rest.substr(0, pattern_bytes));
  // Repeated, so that windows and reads end within it.
  const std::string_view text = rest.substr(std::min(pattern_bytes, rest.size()));
  for (int i = 0; i <= data[0] / 32; ++i) log.text += text;
  const auto length = static_cast<std::int64_t>(log.text.size());
  log.gap_at = length * data[1] / 256;
  log.gap_end = std::min(length, log.gap_at + length * data[2] / 512);
  check_lines(log);
  check_search(log, wanted);
  const auto expression = view::Pattern::compile(wanted, view::Pattern::Mode::regex);
  if (expression)
    static_cast<void>(
        view::search(log.read(), *expression, {.limit = 1000, .stop = {}, .progress = {}}, [](const view::Hit&) {}));
  require(view::first_failure(log.read()).has_value());
  view::LineIndex index;
  while (index.advance(log.read()).value_or(false)) {
  }
  require(index.counted() == length);
  return 0;
}
