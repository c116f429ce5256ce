#pragma once

#include "view/log.h"

#include <memory>
#include <span>
#include <stop_token>

// Search in logs (V22, V23): linear in the text for every pattern.
namespace perdure::view {

/// A pattern. A match never spans a line end. Thread-safe.
class Pattern {
 public:
  enum class Mode { text, regex };
  enum class Case { exact, ignore, smart };  ///< smart: ignored unless the pattern has a capital letter
  /// Errors: usage for an empty pattern or one that RE2 rejects; its program may use at most 8 MiB.
  [[nodiscard]] static Result<Pattern> compile(const std::string& pattern, Mode mode, Case which = Case::smart);

  struct Match {
    std::size_t at = 0, length = 0;
  };
  /// The first non-empty match that starts at `from` or later.
  [[nodiscard]] std::optional<Match> find(std::string_view text, std::size_t from = 0) const;

  /// The last such match.
  [[nodiscard]] std::optional<Match> find_last(std::string_view text) const;

 private:
  struct Program;
  std::shared_ptr<const Program> program_;
};

struct Hit {
  std::int64_t offset = 0, length = 0;
  std::optional<std::int64_t> line;  ///< from 1; absent if the search did not begin at the start of the log
  std::string text;                  ///< of its line, at most 512 bytes around it; valid UTF-8
};

struct SearchOptions {
  std::int64_t begin = 0;        ///< the start of a line: earlier bytes are neither searched nor counted
  std::int64_t from = 0;         ///< forward: return hits from here on; backward: those before
  bool backward = false;         ///< return the nearest first
  std::size_t limit = SIZE_MAX;  ///< hits returned; all are counted
  bool texts = true;             ///< false: Hit::text and Hit::line are left out
  std::stop_token stop;          ///< ends the search early
  std::function<void(std::int64_t offset)> progress;  ///< each 64 MiB
};

struct SearchEnd {
  std::int64_t total = 0;        ///< matches, all of them unless it was stopped
  std::int64_t searched = 0;     ///< end of the whole lines searched: where to continue when the log has grown
  std::int64_t total_there = 0;  ///< matches before `searched`; the others are in the last, incomplete line
  bool stopped = false;
};

/// Searches the log as it is now. Lines over 1 MiB are searched in overlapping pieces.
[[nodiscard]] Result<SearchEnd> search(const Read& read, const Pattern& pattern, const SearchOptions& options,
                                       const std::function<void(const Hit&)>& hit);

/// Regular expressions for messages of failures.
[[nodiscard]] std::span<const char* const> failure_patterns();

struct Place {
  std::int64_t offset = 0;
  bool found = false;  ///< false: the position is the end
};
/// The best place to start reading (V23): the last match of any of the expressions, else the end. It does not say
/// whether the task failed. Errors: usage.
[[nodiscard]] Result<Place> first_failure(const Read& read, std::span<const char* const> patterns = failure_patterns(),
                                          const std::stop_token& stop = {});

}  // namespace perdure::view
