#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/text.h"
#include "cli/integrations/hook_claude_code.h"
#include "cli/integrations/shipped_hooks.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

namespace perdure::cli {
namespace {

constexpr Option kHookOptions[] = {
    {"--secret-file", "F", "webhook: sign with what is in it (else with PERDURE_WEBHOOK_SECRET, else not)"},
    {"--retries", "N", "webhook: how often to try again (default: 3)"},
    {"--timeout", "D", "webhook: for each attempt (default: 5s)"},
    {"--owner", "O", "claude-code: whose tasks (default: those that its MCP server starts in this project)"},
    {"--wait", "D", "claude-code stop, rewake: wait that long for the next end, if a task runs"},
};

Result<int> run_hook(Call& call) {
  const std::string_view what = call.arguments.empty() ? std::string_view() : std::string_view(call.arguments.front());
  if (what == "webhook") return hook_webhook(call);
  if (what == "notify") return hook_notify(call);
  if (what == "claude-code") return hook_claude_code(call);
  return fail(ErrorCode::usage,
              fmt::format("'{}' is not a hook command: webhook, notify or claude-code", harmless_line(what)));
}

}  // namespace

const Verb kHookVerb{"hook", "webhook URL | notify | claude-code EVENT",
                     "be a hook: post what happened, show it on the desktop, or tell an agent", kHookOptions, run_hook};

}  // namespace perdure::cli
