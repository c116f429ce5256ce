#include "top/top.h"

#include "base/error.h"
#include "base/words.h"
#include "cli/console/call.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

namespace perdure::cli {
namespace {

constexpr Option kTopOptions[] = {
    {"--osc52", nullptr, "y gives the path or line to the terminal's clipboard"},
};

Result<int> top(Call& call) {
  if (!call.arguments.empty()) return fail(ErrorCode::usage, "top takes no arguments");
  if (call.json)
    return fail(ErrorCode::usage, "top is for people: for programs use `list --json` and `events --follow`");
  // For a terminal that can't place the cursor, lists are printed instead.
  if (environment("TERM").value_or("") == "dumb") return find_verb("list")->run(call);
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  top::Options options{.copies = call.has("--osc52")};
  if (call.session) options.command = fmt::format("perdure --session {}", shell_word(*call.session));
  return top::show(**manager, options);
}

}  // namespace

const Verb kTopVerb{"top", "", "watch tasks and their output on a terminal, and act on them", kTopOptions, top};

}  // namespace perdure::cli
