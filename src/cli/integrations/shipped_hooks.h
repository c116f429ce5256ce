#pragma once

#include "cli/console/call.h"

// Commands that are made to be hooks (docs/guide/hooks.md): what happened is on their standard input.
namespace perdure::cli {

/// Posts it, signed and retried: `hook webhook URL`.
[[nodiscard]] Result<int> hook_webhook(Call& call);

/// Shows it on the desktop, where there is one: `hook notify`.
[[nodiscard]] Result<int> hook_notify(Call& call);

}  // namespace perdure::cli
