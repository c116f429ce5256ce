#include "webhook/signature.h"

#include <fmt/format.h>

#include <cstdlib>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace perdure::webhook {

std::string signature(std::string_view secret, std::int64_t unix_seconds, std::string_view body) {
  const std::string text = fmt::format("{}.{}", unix_seconds, body);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (::HMAC(::EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
             reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &length) == nullptr)
    std::abort();  // out of memory: an unsigned delivery would be worse than none
  std::string line = "sha256=";
  for (unsigned i = 0; i < length; ++i) line += fmt::format("{:02x}", digest[i]);
  return line;
}

}  // namespace perdure::webhook
