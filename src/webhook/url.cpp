#include "webhook/url.h"

#include "base/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace perdure::webhook {
namespace {

std::unexpected<Error> wrong(std::string_view what) {
  return fail(ErrorCode::usage, fmt::format("the URL {}: give http://HOST[:PORT]/PATH or https://...", what));
}

bool is_port(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

bool is_host_character(unsigned char c) {
  return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
}

}  // namespace

std::string Url::authority() const {
  const std::string name = host.contains(':') ? "[" + host + "]" : host;
  return port == (tls ? "443" : "80") ? name : name + ":" + port;
}

Result<Url> parse_url(std::string_view text) {
  constexpr std::string_view kHttp = "http://", kHttps = "https://";
  if (std::ranges::any_of(text, [](unsigned char c) { return c <= ' ' || c >= 0x7F; }))
    return wrong("holds blanks or characters that are not ASCII");
  Url url;
  url.tls = text.starts_with(kHttps);
  if (!url.tls && !text.starts_with(kHttp)) return wrong("is neither http:// nor https://");
  text.remove_prefix(url.tls ? kHttps.size() : kHttp.size());
  text = text.substr(0, text.find('#'));
  const auto path_at = std::min(text.size(), text.find_first_of("/?"));
  std::string_view authority = text.substr(0, path_at);
  url.target = text.substr(path_at);
  if (!url.target.starts_with('/')) url.target.insert(0, "/");

  if (authority.contains('@')) return wrong("holds a user name or a password");
  url.port = url.tls ? "443" : "80";
  const bool bracketed = authority.starts_with('[');
  const auto host_end = bracketed ? authority.find(']') : std::min(authority.size(), authority.find(':'));
  if (host_end == std::string_view::npos) return wrong("has a '[' without a ']'");
  url.host = bracketed ? authority.substr(1, host_end - 1) : authority.substr(0, host_end);
  std::string_view rest = authority.substr(bracketed ? host_end + 1 : host_end);
  const bool host_is_fine = !url.host.empty() && std::ranges::all_of(url.host, [&](unsigned char c) {
    return bracketed ? std::isxdigit(c) != 0 || c == ':' || c == '.' : is_host_character(c);
  });
  if (!host_is_fine) return wrong("names no host");
  if (rest.empty()) return url;
  rest.remove_prefix(1);
  if (!is_port(rest)) return wrong("has a port that is none");
  url.port = rest;
  return url;
}

}  // namespace perdure::webhook
