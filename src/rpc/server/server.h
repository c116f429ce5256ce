#pragma once

#include "rpc/place/place.h"

#include <string>

namespace perdure::rpc {

/// Serves one client over a pair of descriptors until the input ends. Returns within 200 ms of that (V32): false where
/// something still works on its behalf then, and the program is to end all the same, without destructors.
[[nodiscard]] bool serve_stdio(const Options& options, int input, int output);

/// Serves any number of clients of this user on a Unix socket until `stop_fd` is readable. A lock file beside the socket
/// is held as long; `on_ready` is called once clients can connect; a socket that is left from a dead server is replaced. Errors: usage where another server has it, or
/// something that is no socket is there.
[[nodiscard]] Result<> serve_socket(const Options& options, const std::string& path, int stop_fd,
                                    const std::function<void()>& on_ready);

/// The document that docs/reference/rpc.md and the SDKs are made from.
[[nodiscard]] std::string schema();

}  // namespace perdure::rpc
