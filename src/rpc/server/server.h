#pragma once

#include "rpc/place/place.h"

#include <string>

namespace perdure::rpc {

/// Serves one client over a pair of descriptors until the input ends. Returns within 200 ms of that (V32). False: a
/// request is still in progress, and the program has to exit all the same, without running destructors.
[[nodiscard]] bool serve_stdio(const Options& options, int input, int output);

/// Serves any number of clients of this user on a Unix socket until `stop_fd` is readable. Holds a lock file beside the
/// socket meanwhile; calls `on_ready` once clients can connect; replaces the socket of a dead server. Errors: usage if
/// another server has it, or if something other than a socket is there.
[[nodiscard]] Result<> serve_socket(const Options& options, const std::string& path, int stop_fd,
                                    const std::function<void()>& on_ready);

/// The document from which docs/reference/rpc.md and the SDKs are generated.
[[nodiscard]] std::string schema();

}  // namespace perdure::rpc
