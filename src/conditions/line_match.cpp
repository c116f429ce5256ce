#include "conditions/line_match.h"

#include "base/clock.h"
#include "base/error.h"

#include <algorithm>
#include <charconv>

namespace perdure::conditions {
namespace {

constexpr std::int64_t kWindow = 1 << 20;
// An endless line must not fill the memory.
constexpr std::size_t kLongestLine = 16'384;
constexpr std::chrono::milliseconds kStill{200};

}  // namespace

Result<bool> LineMatch::look() {
  while (true) {
    auto chunk = manager_->read_output(id_, offset_, kWindow);
    if (!chunk && chunk.error().code == ErrorCode::output_expired) {
      const std::string& next = chunk.error().details["nextOffset"];
      if (std::from_chars(next.data(), next.data() + next.size(), offset_).ec != std::errc())
        return std::unexpected(chunk.error());
      partial_.clear();
      continue;
    }
    if (!chunk) return std::unexpected(chunk.error());
    offset_ = chunk->next_offset;
    eof_ = chunk->eof;
    partial_ += chunk->bytes;
    if (matches_in_lines()) return true;
    if (eof_ && !partial_.empty() && matches(partial_)) return true;
    // An incomplete line may be a prompt: `$` matches at its end if it has not grown for a while (I11).
    if (!chunk->bytes.empty()) grew_ms_ = steady_ms();
    if (chunk->bytes.empty()) {
      const bool is_still = !partial_.empty() && steady_ms() - grew_ms_ >= kStill.count();
      if (partial_.empty() || (looked_at_ == partial_.size() && (!is_still || was_still_))) return false;
      looked_at_ = partial_.size();
      was_still_ = is_still;
      return matches(partial_, is_still);
    }
  }
}

std::optional<std::chrono::milliseconds> LineMatch::settles_in() const {
  if (partial_.empty() || was_still_ || eof_) return std::nullopt;
  return std::max(std::chrono::milliseconds(1), kStill - std::chrono::milliseconds(steady_ms() - grew_ms_));
}

bool LineMatch::matches(std::string_view line, bool is_whole) {
  line = line.substr(0, kLongestLine);
  if (line.ends_with('\r')) line.remove_suffix(1);  // a terminal ends its lines with both
  if (!test_(line, is_whole)) return false;
  line_ = line;
  return true;
}

bool LineMatch::matches_in_lines() {
  std::size_t start = 0;
  for (std::size_t end = 0; (end = partial_.find('\n', start)) != std::string::npos; start = end + 1)
    if (matches(std::string_view(partial_).substr(start, end - start))) return true;
  partial_.erase(0, start);
  if (start > 0) looked_at_ = 0;
  was_still_ = false;
  if (partial_.size() <= kLongestLine) return false;
  const bool matched = matches(partial_);
  partial_.erase(0, partial_.size() - kLongestLine / 2);
  return matched;
}

}  // namespace perdure::conditions
