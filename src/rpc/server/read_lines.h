#pragma once

#include "rpc/server/connection.h"

namespace perdure::rpc {

/// Hands the lines of `input` to the connection until they end or `stop_fd` is readable.
void read_lines(Connection& connection, int input, int stop_fd);

}  // namespace perdure::rpc
