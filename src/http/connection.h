#pragma once

#include "base/fd.h"
#include "http/exchange.h"

#include <atomic>

namespace perdure::http {

/// Serves the requests of one connection, one after the other, until either side closes it. Sets `is_known` as soon as
/// a request was admitted.
void serve_connection(Fd socket, const Limits& limits, int stop_fd, Service& service, std::atomic<bool>& is_known);

/// Answers 503 and closes: there are too many connections.
void refuse_connection(Fd socket);

}  // namespace perdure::http
