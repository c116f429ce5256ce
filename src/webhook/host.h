#pragma once

#include <string>

// What a static program has to find out for itself: the distribution it runs on may be another than it was built on.
namespace perdure::webhook {

/// The file with this machine's trusted certificates, if OpenSSL does not find them by itself; else "".
[[nodiscard]] std::string certificate_file();

}  // namespace perdure::webhook
