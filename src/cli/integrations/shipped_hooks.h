#pragma once

#include "cli/console/call.h"

// Commands for use as hooks (docs/guide/hooks.md): they read the event from standard input.
namespace perdure::cli {

/// Posts it, signed and with retries: `hook webhook URL`.
[[nodiscard]] Result<int> hook_webhook(Call& call);

/// Shows it on the desktop, if there is one: `hook notify`.
[[nodiscard]] Result<int> hook_notify(Call& call);

}  // namespace perdure::cli
