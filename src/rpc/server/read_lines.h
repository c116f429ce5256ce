#pragma once

#include "rpc/server/connection.h"

namespace perdure::rpc {

/// Passes the lines of `input` to the connection until the input ends or `stop_fd` is readable.
void read_lines(Connection& connection, int input, int stop_fd);

}  // namespace perdure::rpc
