#include "webhook/host.h"

#include <unistd.h>

#include <cstdlib>
#include <openssl/x509.h>

namespace perdure::webhook {

std::string certificate_file() {
  const auto exists = [](const char* path) { return path != nullptr && ::access(path, R_OK) == 0; };
  // NOLINTNEXTLINE(concurrency-mt-unsafe): this process does not change it
  const auto chosen = [](const char* variable) { return std::getenv(variable) != nullptr; };
  if (chosen(::X509_get_default_cert_file_env()) || chosen(::X509_get_default_cert_dir_env())) return {};
  if (exists(::X509_get_default_cert_file()) || exists(::X509_get_default_cert_dir())) return {};
  constexpr const char* kPlaces[] = {
      "/etc/ssl/certs/ca-certificates.crt",  // Debian, Ubuntu, Arch, Gentoo
      "/etc/pki/tls/certs/ca-bundle.crt",    // Fedora, RHEL
      "/etc/ssl/ca-bundle.pem",              // openSUSE
      "/etc/ssl/cert.pem",                   // Alpine, Void
  };
  for (const char* const place : kPlaces)
    if (exists(place)) return place;
  return {};
}

}  // namespace perdure::webhook
