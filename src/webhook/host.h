#pragma once

#include <string>

// Properties of the machine that a static program must find out itself: it may run on another distribution than it was
// built on.
namespace perdure::webhook {

/// The file with this machine's trusted certificates, unless OpenSSL finds them by itself; else "".
[[nodiscard]] std::string certificate_file();

}  // namespace perdure::webhook
