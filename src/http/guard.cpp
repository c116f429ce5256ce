#include "http/guard.h"

#include "base/error.h"
#include "base/files.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace perdure::http {
namespace {

constexpr std::size_t kTokenBytes = 32;

// Constant time: independent of where the texts differ.
bool is_same(std::string_view a, std::string_view b) {
  unsigned char difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

bool is_numeric(std::string_view host) {
  std::array<unsigned char, sizeof(in6_addr)> ignored{};
  const std::string text(host);
  return ::inet_pton(AF_INET, text.c_str(), ignored.data()) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), ignored.data()) == 1;
}

}  // namespace

std::string_view host_name(std::string_view host) {
  std::size_t end = host.find(':');
  std::string_view name = host.substr(0, end);
  if (host.starts_with('[')) {
    const auto close = host.find(']');
    if (close == std::string_view::npos) return {};
    name = host.substr(1, close - 1);
    end = close + 1 == host.size() ? std::string_view::npos : close + 1;
  }
  if (end == std::string_view::npos) return name;
  const std::string_view port = host.substr(end + 1);
  const bool is_port = host[end] == ':' && port.find_first_not_of("0123456789") == std::string_view::npos;
  return is_port ? name : std::string_view();
}

std::string_view bearer_token(std::string_view header) {
  constexpr std::string_view kScheme = "bearer ";
  const bool is_bearer = header.size() > kScheme.size() &&
                         std::ranges::equal(header.substr(0, kScheme.size()), kScheme, [](unsigned char a, char b) {
                           return static_cast<char>(a >= 'A' && a <= 'Z' ? a + 32 : a) == b;
                         });
  return is_bearer ? header.substr(kScheme.size()) : std::string_view();
}

bool Guard::is_ours(std::string_view host) const {
  host = host_name(host);
  if (host == "localhost" || host == "127.0.0.1" || host == "::1" || host == endpoint_.address) return true;
  // When listening on every address, DNS rebinding shows up as a host name, so numeric hosts are accepted.
  return (endpoint_.address == "0.0.0.0" || endpoint_.address == "::") && is_numeric(host);
}

std::optional<Refusal> Guard::refuses(const Request& request) const {
  const auto refuse = [](int status, Headers headers = {}) {
    return Refusal{.status = status, .headers = std::move(headers), .body = {}};
  };
  // Of two such headers one program may read the first and another the last.
  for (const char* const name : {"Host", "Origin", "Authorization"})
    if (request.count_of(name) > 1) return refuse(400);
  if (!is_ours(request.header("Host"))) return refuse(403);
  if (request.has_header("Origin")) {
    const std::string_view origin = request.header("Origin");
    const auto scheme = origin.find("://");
    if (scheme == std::string_view::npos || !is_ours(origin.substr(scheme + 3))) return refuse(403);
  }
  if (!token_ || is_same(bearer_token(request.header("Authorization")), *token_)) return std::nullopt;
  return refuse(401, {{"WWW-Authenticate", "Bearer"}});
}

Result<Token> load_or_make_token(const std::string& folder, const std::string& name) {
  const std::string described = folder + "/" + name;
  if (auto made = make_folders(folder); !made) return std::unexpected(made.error());
  auto opened = open_folder_at(AT_FDCWD, folder, folder);
  if (!opened) return std::unexpected(opened.error());
  struct stat found{};
  if (::fstatat(opened->get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0) {
    if ((found.st_mode & 077) != 0)
      return fail(ErrorCode::config_invalid,
                  fmt::format("{}: others can read it: remove it, and a new one is made", described));
    auto text = read_regular_file(opened->get(), name, 1024, described);
    if (!text) return std::unexpected(text.error());
    while (!text->empty() && (text->back() == '\n' || text->back() == ' ')) text->pop_back();
    if (text->size() < kTokenBytes)
      return fail(ErrorCode::config_invalid, fmt::format("{}: holds no token: remove it, and one is made", described));
    return Token{std::move(*text), false};
  }
  if (errno != ENOENT) return fail_errno("reading", described);
  std::array<unsigned char, kTokenBytes> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return fail_errno("getting random bytes for", described);
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  if (auto written = replace_file(opened->get(), name, text + "\n", described); !written)
    return std::unexpected(written.error());
  return Token{std::move(text), true};
}

}  // namespace perdure::http
