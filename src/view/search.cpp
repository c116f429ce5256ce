#include "view/search.h"

#include "base/error.h"
#include "base/utf8.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <re2/re2.h>

namespace perdure::view {
namespace {

constexpr std::int64_t kRead = 1 << 20;
constexpr std::size_t kLongLine = 1 << 20;
constexpr std::size_t kOverlap = 64 << 10;  // of the pieces of a longer line
constexpr std::int64_t kProgress = 64 << 20;
constexpr std::int64_t kProgramBytes = 8 << 20;
constexpr std::size_t kMostShown = 512;

bool pattern_has_capital(std::string_view text) {
  // A backslash makes a class of a letter: \W is not a capital.
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] >= 'A' && text[i] <= 'Z') {
      return true;
    }
  }
  return false;
}

// The part of the line near a match. The search for the line's ends is limited: a long line may contain many matches.
std::string text_around(std::string_view text, const Pattern::Match& match) {
  const std::size_t behind = match.at + match.length;
  const std::size_t reach = match.at - std::min(match.at, kMostShown);
  const auto before = text.substr(reach, match.at - reach).rfind('\n');
  std::size_t begin = before == std::string_view::npos ? reach : reach + before + 1;
  const auto after = text.substr(behind, kMostShown).find('\n');
  const std::size_t end = after == std::string_view::npos ? std::min(text.size(), behind + kMostShown) : behind + after;
  if (end - begin > kMostShown) {
    const std::size_t lead = std::min<std::size_t>(match.at - begin, kMostShown / 4);
    begin = match.at - lead;
  }
  std::string_view line = text.substr(begin, std::min(end - begin, kMostShown));
  line.remove_prefix(std::min(continuation_prefix(line), line.size()));
  line.remove_suffix(incomplete_suffix(line));
  std::string valid = to_valid_utf8(line);
  if (valid.size() > kMostShown) {
    valid.resize(kMostShown);
    valid.resize(valid.size() - incomplete_suffix(valid));
  }
  return valid;
}

class Searcher {
 public:
  Searcher(const Pattern& pattern, const SearchOptions& options, const std::function<void(const Hit&)>& hit)
      : pattern_(pattern), options_(options), hit_(hit) {
    end_.searched = options.begin;
  }

  // Appends bytes that were read, and searches the whole lines in them.
  void add(std::string_view bytes) {
    if (held_.empty()) held_at_ = at_;
    at_ += static_cast<std::int64_t>(bytes.size());
    std::string_view text = bytes;
    if (!held_.empty()) {
      held_ += bytes;
      text = held_;
    }
    const auto end = text.rfind('\n');
    std::size_t whole = end == std::string_view::npos ? 0 : end + 1;
    // The end of a piece of a very long line stays for the next piece, since a match may begin in it.
    if (text.size() - whole > kLongLine) whole = text.size() - kOverlap;
    look(text.substr(0, whole));
    std::string rest(text.substr(whole));
    held_at_ += static_cast<std::int64_t>(whole);
    held_ = std::move(rest);
    end_.searched = held_at_;
    end_.total_there = end_.total;
  }
  // Dropped bytes end a line.
  void skip_to(std::int64_t offset) {
    finish();
    held_.clear();
    at_ = held_at_ = end_.searched = offset;
    end_.total_there = end_.total;
  }
  // The rest is a line, too.
  void finish() { look(held_); }

  SearchEnd end() {
    if (options_.backward) {
      while (!last_.empty()) {
        hit_(last_.back());
        last_.pop_back();
      }
    }
    return end_;
  }
  [[nodiscard]] std::int64_t at() const { return at_; }
  void start_at(std::int64_t offset) { at_ = held_at_ = offset; }
  void stopped() { end_.stopped = true; }

 private:
  void look(std::string_view text) {
    std::size_t counted = 0;
    const bool numbers = options_.texts && options_.begin == 0;
    for (std::size_t from = 0; from < text.size();) {
      const auto match = pattern_.find(text, from);
      if (!match) break;
      ++end_.total;
      if (numbers) {
        lines_ += count_line_ends(text.substr(counted, match->at - counted));
        counted = match->at;
      }
      tell(text, *match);
      from = match->at + match->length;
    }
    if (numbers) lines_ += count_line_ends(text.substr(counted));
  }

  void tell(std::string_view text, const Pattern::Match& match) {
    const std::int64_t offset = held_at_ + static_cast<std::int64_t>(match.at);
    if (options_.backward ? offset >= options_.from : offset < options_.from || told_ >= options_.limit) return;
    Hit hit{.offset = offset, .length = static_cast<std::int64_t>(match.length), .line = {}, .text = {}};
    if (options_.texts) {
      hit.text = text_around(text, match);
      if (options_.begin == 0) hit.line = lines_ + 1;
    }
    if (!options_.backward) {
      ++told_;
      return hit_(hit);
    }
    last_.push_back(std::move(hit));
    if (last_.size() > options_.limit) last_.pop_front();
  }

  const Pattern& pattern_;
  const SearchOptions& options_;
  const std::function<void(const Hit&)>& hit_;
  std::string held_;  // an incomplete line
  std::int64_t held_at_ = 0, at_ = 0, lines_ = 0;
  std::size_t told_ = 0;
  std::deque<Hit> last_;
  SearchEnd end_;
};

}  // namespace

struct Pattern::Program {
  std::string literal;  // searched directly; empty: use the expression
  std::unique_ptr<RE2> expression;
};

Result<Pattern> Pattern::compile(const std::string& pattern, Mode mode, Case which) {
  if (pattern.empty()) return fail(ErrorCode::usage, "the pattern is empty");
  const bool exact = which == Case::exact || (which == Case::smart && pattern_has_capital(pattern));
  auto program = std::make_shared<Program>();
  if (mode == Mode::text && exact && pattern.find('\n') == std::string::npos) {
    program->literal = pattern;
  } else {
    RE2::Options options;
    options.set_max_mem(kProgramBytes);
    options.set_never_nl(true);
    options.set_log_errors(false);
    options.set_case_sensitive(exact);
    options.set_never_capture(true);
    const std::string text = mode == Mode::text ? RE2::QuoteMeta(pattern) : pattern;
    program->expression = std::make_unique<RE2>("(?m)" + text, options);
    if (!program->expression->ok())
      return fail(ErrorCode::usage,
                  fmt::format("'{}' is not a valid regular expression: {}", to_plain_text(pattern, false),
                              to_plain_text(program->expression->error(), false)));
  }
  Pattern made;
  made.program_ = std::move(program);
  return made;
}

std::optional<Pattern::Match> Pattern::find(std::string_view text, std::size_t from) const {
  if (!program_->literal.empty()) {
    if (from >= text.size()) return std::nullopt;
    const auto& wanted = program_->literal;
    const auto* const found =
        static_cast<const char*>(::memmem(text.data() + from, text.size() - from, wanted.data(), wanted.size()));
    if (found == nullptr) return std::nullopt;
    return Match{static_cast<std::size_t>(found - text.data()), wanted.size()};
  }
  re2::StringPiece match;
  while (from < text.size()) {
    if (!program_->expression->Match({text.data(), text.size()}, from, text.size(), RE2::UNANCHORED, &match, 1))
      return std::nullopt;
    const auto at = static_cast<std::size_t>(match.data() - text.data());
    if (!match.empty()) return Match{at, match.size()};
    // An empty match is not a hit. The search continues after the line, since the expression would match at each
    // position.
    from = std::max(at, from) + 1;
  }
  return std::nullopt;
}

std::optional<Pattern::Match> Pattern::find_last(std::string_view text) const {
  std::optional<Match> last;
  for (std::size_t from = 0; from < text.size();) {
    const auto match = find(text, from);
    if (!match) break;
    last = match;
    from = match->at + match->length;
  }
  return last;
}

Result<SearchEnd> search(const Read& read, const Pattern& pattern, const SearchOptions& options,
                         const std::function<void(const Hit&)>& hit) {
  Searcher searcher(pattern, options, hit);
  searcher.start_at(options.begin);
  std::int64_t told = options.begin;
  while (true) {
    if (options.stop.stop_requested()) {
      searcher.stopped();
      return searcher.end();
    }
    auto chunk = read(searcher.at(), kRead);
    if (!chunk) {
      const auto next = next_kept(chunk.error());
      if (!next || *next <= searcher.at()) return std::unexpected(chunk.error());
      searcher.skip_to(*next);
      continue;
    }
    if (chunk->bytes.empty()) break;
    searcher.add(chunk->bytes);
    if (options.progress && searcher.at() - told >= kProgress) {
      told = searcher.at();
      options.progress(told);
    }
  }
  searcher.finish();
  return searcher.end();
}

std::span<const char* const> failure_patterns() {
  static constexpr const char* kPatterns[] = {"error:", "FAILED", "panic", "Traceback", "AssertionError", "✗"};
  return kPatterns;
}

Result<Place> first_failure(const Read& read, std::span<const char* const> patterns, const std::stop_token& stop) {
  std::string any;
  for (const char* const one : patterns) any += fmt::format("{}(?:{})", any.empty() ? "" : "|", one);
  auto pattern = Pattern::compile(any, Pattern::Mode::regex, Pattern::Case::exact);
  if (!pattern) return std::unexpected(pattern.error());
  auto about = read(0, 0);
  if (!about && !next_kept(about.error())) return std::unexpected(about.error());
  std::int64_t end = 0;
  if (about) {
    end = about->size;
  } else if (auto behind = read(*next_kept(about.error()), 0)) {
    end = behind->size;
  }
  constexpr std::int64_t kShared = 4096;  // bytes of the next block that a match at the edge of a block may need
  for (std::int64_t to = end; to > 0 && !stop.stop_requested();) {
    const std::int64_t from = std::max<std::int64_t>(0, to - kRead);
    // Dropped bytes may divide a block: each part is searched, and the last match of all counts.
    std::optional<std::int64_t> last;
    for (std::int64_t at = from; at < std::min(to + kShared, end);) {
      auto chunk = read(at, std::min(to + kShared, end) - at);
      if (!chunk) {
        const auto next = next_kept(chunk.error());
        if (!next || *next <= at) return std::unexpected(chunk.error());
        at = *next;
        continue;
      }
      if (chunk->bytes.empty()) break;
      if (const auto match = pattern->find_last(chunk->bytes)) last = at + static_cast<std::int64_t>(match->at);
      at = chunk->next_offset;
    }
    if (last) return Place{.offset = *last, .found = true};
    to = from;
  }
  return Place{.offset = end, .found = false};
}

}  // namespace perdure::view
