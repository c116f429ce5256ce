#include "patterns/pattern.h"

#include "base/error.h"
#include "base/utf8.h"

#include <fmt/format.h>

#include <re2/re2.h>

namespace perdure::patterns {
namespace {

constexpr std::int64_t kProgramBytes = 8 << 20;
constexpr std::size_t kLongestPattern = 4096;

}  // namespace

Result<Pattern> Pattern::compile(const std::string& text) {
  if (text.size() > kLongestPattern)
    return fail(ErrorCode::usage, fmt::format("the regular expression is too long: {} bytes, the maximum is {}",
                                              text.size(), kLongestPattern));
  re2::RE2::Options options;
  options.set_max_mem(kProgramBytes);
  options.set_log_errors(false);
  options.set_never_capture(true);
  auto program = std::make_shared<const re2::RE2>(text, options);
  if (program->ok()) return Pattern(std::move(program));
  // RE2's own message, "invalid perl operator: (?=", does not help the user.
  const auto code = program->error_code();
  const bool is_missing = code == re2::RE2::ErrorRepeatArgument || code == re2::RE2::ErrorBadPerlOp ||
                          code == re2::RE2::ErrorBadEscape || code == re2::RE2::ErrorBadNamedCapture;
  return fail(ErrorCode::usage,
              fmt::format("not a valid regular expression: {}{}", to_valid_utf8(program->error()),
                          is_missing ? "; lookaround and back-references are not supported (RE2 syntax)" : ""));
}

bool Pattern::is_in(std::string_view line, bool ends) const {
  if (ends) return program_->Match({line.data(), line.size()}, 0, line.size(), re2::RE2::UNANCHORED, nullptr, 0);
  // RE2 has no option for "more may follow": an additional byte after the text has that effect.
  std::string longer(line);
  longer += '\0';
  return program_->Match({longer.data(), longer.size()}, 0, line.size(), re2::RE2::UNANCHORED, nullptr, 0);
}

Result<conditions::LineMatch> match_lines(TaskManager& manager, TaskId id, const std::string& pattern) {
  auto compiled = Pattern::compile(pattern);
  if (!compiled) return std::unexpected(compiled.error());
  return conditions::LineMatch(
      manager, std::move(id),
      [wanted = std::move(*compiled)](std::string_view line, bool ends) { return wanted.is_in(line, ends); });
}

}  // namespace perdure::patterns
