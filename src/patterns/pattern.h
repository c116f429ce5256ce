#pragma once

#include "conditions/line_match.h"
#include <perdure/error.h>

#include <memory>
#include <string>
#include <string_view>

namespace re2 {
class RE2;
}

namespace perdure::patterns {

/// A regular expression in RE2's syntax: without lookaround and back-references, so that the time for a line is linear
/// in its length for every pattern (I11). A value; copies share the program; thread-safe.
class Pattern {
 public:
  /// Errors: usage, with the reason.
  [[nodiscard]] static Result<Pattern> compile(const std::string& text);

  /// Does it match anywhere in this line? `ends` false: more may follow, so `$` does not match at the end.
  [[nodiscard]] bool is_in(std::string_view line, bool ends = true) const;

 private:
  explicit Pattern(std::shared_ptr<const re2::RE2> program) : program_(std::move(program)) {}

  std::shared_ptr<const re2::RE2> program_;
};

/// For a line in which it is. Errors: usage, with the reason.
[[nodiscard]] Result<conditions::LineMatch> match_lines(TaskManager& manager, TaskId id, const std::string& pattern);

}  // namespace perdure::patterns
