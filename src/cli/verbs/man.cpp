#include "base/error.h"
#include "base/words.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/text/man_page.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

#include <ctime>

// Prints the man pages, for the installation.
namespace perdure::cli {
namespace {

// The date of SOURCE_DATE_EPOCH, so that two builds of one commit print the same page; "" if it is not set.
Result<std::string> date() {
  const auto text = environment("SOURCE_DATE_EPOCH");
  if (!text) return {};
  constexpr std::int64_t kMost = 253'402'300'799;  // the end of the year 9999
  const auto seconds = parse_integer(*text, 0, kMost);
  if (!seconds)
    return fail(ErrorCode::usage, fmt::format("SOURCE_DATE_EPOCH: expected seconds, got '{}'", harmless_line(*text)));
  const auto time = static_cast<std::time_t>(*seconds);
  std::tm day{};
  ::gmtime_r(&time, &day);
  char shown[16];
  return std::string(shown, std::strftime(shown, sizeof shown, "%Y-%m-%d", &day));
}

Result<int> man(Call& call) {
  if (call.arguments.empty()) {
    for (const auto& page : man_pages()) put_line(page.file);
    return 0;
  }
  auto day = date();
  if (!day) return std::unexpected(day.error());
  for (const auto& page : man_pages())
    if (call.arguments.size() == 1 && call.arguments.front() == page.file) {
      put(page.print(*day));
      return 0;
    }
  return fail(ErrorCode::usage, fmt::format("__man: there is no page '{}'", harmless_line(call.arguments.front())));
}

}  // namespace

const Verb kManVerb{"__man", "[PAGE]", "man pages, for the installation", {}, man, false, true};

}  // namespace perdure::cli
