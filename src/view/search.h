#pragma once

#include "view/log.h"

#include <memory>
#include <span>
#include <stop_token>

// Search in logs (V22, V23): linear in the text, whatever the pattern.
namespace perdure::view {

/// What is looked for. A match never reaches across a line end. Thread-safe.
class Pattern {
 public:
  enum class Mode { text, regex };
  enum class Case { exact, ignore, smart };  ///< smart: ignored unless the pattern has a capital letter
  /// Errors: usage, for an empty pattern and what RE2 refuses; its program takes at most 8 MiB.
  [[nodiscard]] static Result<Pattern> compile(const std::string& pattern, Mode mode, Case which = Case::smart);

  struct Match {
    std::size_t at = 0, length = 0;
  };
  /// The first match at or behind `from` that is not empty.
  [[nodiscard]] std::optional<Match> find(std::string_view text, std::size_t from = 0) const;

  /// The same for the last one.
  [[nodiscard]] std::optional<Match> find_last(std::string_view text) const;

 private:
  struct Program;
  std::shared_ptr<const Program> program_;
};

struct Hit {
  std::int64_t offset = 0, length = 0;
  std::optional<std::int64_t> line;  ///< from 1; absent where the search did not begin at the log's begin
  std::string text;                  ///< of its line, at most 512 bytes around it; valid UTF-8
};

struct SearchOptions {
  std::int64_t begin = 0;        ///< the start of a line: what is before it is neither searched nor counted
  std::int64_t from = 0;         ///< forward: hits from here on are told; backward: those before
  bool backward = false;         ///< the nearest first
  std::size_t limit = SIZE_MAX;  ///< as many are told; all are counted
  bool texts = true;             ///< false: Hit::text and Hit::line are left out
  std::stop_token stop;          ///< ends the search early
  std::function<void(std::int64_t offset)> progress;  ///< each 64 MiB
};

struct SearchEnd {
  std::int64_t total = 0;        ///< matches, all of them unless it was stopped
  std::int64_t searched = 0;     ///< whole lines up to here: where to go on when the log has grown
  std::int64_t total_there = 0;  ///< matches before `searched`; the others are in the last, unfinished line
  bool stopped = false;
};

/// Looks through the log as it is now. Lines over 1 MiB are searched in overlapping pieces.
[[nodiscard]] Result<SearchEnd> search(const Read& read, const Pattern& pattern, const SearchOptions& options,
                                       const std::function<void(const Hit&)>& hit);

/// Regular expressions of what failures print.
[[nodiscard]] std::span<const char* const> failure_patterns();

struct Place {
  std::int64_t offset = 0;
  bool found = false;  ///< false: it is the end
};
/// Where to look first (V23): the last match of any of the expressions, else the end. Never a verdict. Errors: usage.
[[nodiscard]] Result<Place> first_failure(const Read& read, std::span<const char* const> patterns = failure_patterns(),
                                          const std::stop_token& stop = {});

}  // namespace perdure::view
