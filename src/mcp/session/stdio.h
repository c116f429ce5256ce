#pragma once

#include "mcp/session/server.h"

namespace perdure::mcp {

/// Serves one client over a pair of descriptors until the input ends; its tasks continue. Both eras on one pipe:
/// `initialize` begins a conversation, a request with a version in its _meta needs none.
void serve_stdio(Server& server, int input, int output);

}  // namespace perdure::mcp
