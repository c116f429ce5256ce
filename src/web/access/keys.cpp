#include "web/access/keys.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/files.h"
#include "base/words.h"
#include "http/guard.h"
#include "trust/sha256.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include <array>
#include <cerrno>

namespace perdure::web {
namespace {

constexpr std::int64_t kLinkMs = std::int64_t{10} * 60 * 1000;
constexpr std::int64_t kSessionMs = std::int64_t{30} * 24 * 3600 * 1000;
constexpr std::int64_t kDownloadMs = 30'000;
constexpr std::string_view kLink = "link", kSession = "session";
constexpr const char* kSpentFolder = "web-spent";

std::string random_hex() {
  std::array<unsigned char, 16> bytes{};
  while (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
  }
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string answer_purpose(std::string_view session, std::string_view question) {
  return fmt::format("answer:{}:{}", session, question);
}

std::string download_purpose(std::string_view session, std::string_view task) {
  return fmt::format("download:{}:{}", session, task);
}

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Their tokens have expired, so they can't be used a second time.
void remove_old(int folder, const std::string& path) {
  for (const auto& entry : read_folder(folder, path).value_or(std::vector<FolderEntry>())) {
    struct stat about{};
    if (::fstatat(folder, entry.name.c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0 &&
        std::int64_t{about.st_mtim.tv_sec} * 1000 < now_ms() - 2 * kLinkMs)
      ::unlinkat(folder, entry.name.c_str(), 0);
  }
}

}  // namespace

Result<Keys> Keys::open(const std::string& folder) {
  auto key = http::load_or_make_token(folder, "web-key");
  if (!key) return std::unexpected(key.error());
  auto token = http::load_or_make_token(folder, "web-token");
  if (!token) return std::unexpected(token.error());
  return Keys(folder, std::move(key->text), std::move(token->text));
}

// EXPIRY.NONCE.HMAC; the HMAC also covers the purpose, so that a link's token is not valid for a session.
std::string Keys::make(std::string_view purpose, std::int64_t valid_ms) const {
  const std::string body = fmt::format("{}.{}", now_ms() + valid_ms, random_hex());
  return fmt::format("{}.{}", body, trust::in_hex(trust::hmac_sha256(key_, fmt::format("{}:{}", purpose, body))));
}

bool Keys::is_valid(std::string_view purpose, std::string_view token) const {
  const auto first = token.find('.'), last = token.rfind('.');
  if (first == std::string_view::npos || first == last) return false;
  const std::string_view body = token.substr(0, last);
  const auto expected = trust::in_hex(trust::hmac_sha256(key_, fmt::format("{}:{}", purpose, body)));
  if (!trust::equal_in_constant_time(token.substr(last + 1), expected)) return false;
  const auto expiry = parse_integer(token.substr(0, first), 0, INT64_MAX);
  return expiry && now_ms() < *expiry;
}

std::string Keys::make_link_token() const {
  return make(kLink, kLinkMs);
}

Result<bool> Keys::spend(std::string_view link_token) const {
  return spend(kLink, link_token);
}

Result<bool> Keys::spend(std::string_view purpose, std::string_view token) const {
  if (!is_valid(purpose, token)) return false;
  const auto first = token.find('.'), last = token.rfind('.');
  const std::string nonce(token.substr(first + 1, last - first - 1));
  if (nonce.empty() || !is_hex(nonce)) return false;
  const std::string path = folder_ + "/" + kSpentFolder;
  if (auto made = make_folders(path); !made) return std::unexpected(made.error());
  auto opened = open_folder_at(AT_FDCWD, path, path);
  if (!opened) return std::unexpected(opened.error());
  remove_old(opened->get(), path);
  const Fd spent(::openat(opened->get(), nonce.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!spent && errno != EEXIST) return fail_errno("noting a used link in", path);
  return static_cast<bool>(spent);
}

std::string Keys::make_session_token() const {
  return make(kSession, kSessionMs);
}

bool Keys::is_session_token(std::string_view token) const {
  return is_valid(kSession, token);
}

std::string Keys::make_download_token(std::string_view session, std::string_view task) const {
  return make(download_purpose(session, task), kDownloadMs);
}

bool Keys::is_download_token(std::string_view token, std::string_view session, std::string_view task) const {
  return is_valid(download_purpose(session, task), token);
}

Result<bool> Keys::spend_download(std::string_view token, std::string_view session, std::string_view task) const {
  return spend(download_purpose(session, task), token);
}

std::string Keys::make_answer_token(std::string_view session, std::string_view question) const {
  return make(answer_purpose(session, question), kSessionMs);
}

bool Keys::is_answer_token(std::string_view token, std::string_view session, std::string_view question) const {
  return is_valid(answer_purpose(session, question), token);
}

bool Keys::is_program_token(std::string_view token) const {
  return trust::equal_in_constant_time(token, program_token_);
}

}  // namespace perdure::web
