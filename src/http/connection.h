#pragma once

#include "base/fd.h"
#include "http/exchange.h"

#include <functional>

namespace perdure::http {

/// Serves the requests of one connection, one after the other, until it is closed by either side.
void serve_connection(Fd socket, const Limits& limits, int stop_fd, const std::function<void(Exchange&)>& handler);

/// Answers 503 and closes: there are too many.
void refuse_connection(Fd socket);

}  // namespace perdure::http
