#include "base/error.h"
#include "cli/call.h"
#include "cli/hook_claude_code.h"
#include "cli/text.h"
#include "cli/verbs.h"

#include <fmt/format.h>

namespace perdure::cli {
namespace {

constexpr Option kOptions[] = {
    {"--owner", "O", "claude-code: whose tasks (default: those that its MCP server starts in this project)"},
    {"--wait", "D", "claude-code stop: wait that long for the next end"},
};

Result<int> run(Call& call) {
  const std::string_view what = call.arguments.empty() ? std::string_view() : std::string_view(call.arguments.front());
  if (what == "claude-code") return hook_claude_code(call);
  return fail(ErrorCode::usage, fmt::format("'{}' is no hook command: claude-code", harmless_line(what)));
}

}  // namespace

const Verb kHookVerb{"hook", "claude-code EVENT", "be a hook: tell an agent what has ended and what still runs",
                     kOptions, run};

}  // namespace perdure::cli
