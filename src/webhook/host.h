#pragma once

#include <string>

// What a static program has to find out for itself: the distribution it runs on may be another than it was built on.
namespace perdure::webhook {

/// The file with this machine's trusted certificates, if OpenSSL does not find them by itself; else "".
[[nodiscard]] std::string certificate_file();

/// Names are looked up in /etc/hosts and by DNS. In a static program the C library would load the modules that
/// /etc/nsswitch.conf names, which belong to the machine's own version of that library: they crash it.
/// To be called before the first look-up; does nothing in a program that is not static.
void use_own_name_lookup();

}  // namespace perdure::webhook
