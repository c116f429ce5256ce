// perdure-webhook URL SECRET_FILE RETRIES TIMEOUT_MS: posts its standard input. Started by `perdure hook webhook`,
// which checks the arguments. It is a program of its own, so that the command line does not contain HTTP and TLS.
//
// Exit status: 0 the server accepted it; 1 it did not; 2 not started by perdure.

#include "base/error.h"
#include "base/files.h"
#include "base/name_service.h"
#include "webhook/delivery.h"
#include "webhook/signature.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <string>
#include <string_view>

#ifndef PERDURE_VERSION
#error "PERDURE_VERSION is set by the build"
#endif

namespace perdure::webhook {
namespace {

using std::chrono::milliseconds;

constexpr int kFailed = 1, kUsage = 2;
constexpr std::size_t kMostBytes = 4 << 20;
constexpr milliseconds kFirstPause{500}, kLongestPause{30'000};

std::string environment(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing here changes it
  return value == nullptr ? "" : value;
}

Result<std::string> read_all(int fd, const std::string& described) {
  std::string bytes;
  char part[65536];
  while (true) {
    const ssize_t n = ::read(fd, part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("reading", described, ErrorCode::usage);
    if (n == 0) return bytes;
    bytes.append(part, static_cast<std::size_t>(n));
    if (bytes.size() > kMostBytes) return fail(ErrorCode::usage, described + ": is larger than 4 MiB");
  }
}

// A file usually ends with a line end that is not part of the secret.
Result<std::string> read_secret(const std::string& path) {
  if (path.empty()) return environment("PERDURE_WEBHOOK_SECRET");
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno("reading the secret in", path, ErrorCode::usage);
  auto secret = read_all(file.get(), path);
  while (secret && (secret->ends_with('\n') || secret->ends_with('\r'))) secret->pop_back();
  if (secret && secret->empty()) return fail(ErrorCode::usage, path + ": holds no secret");
  return secret;
}

// Signed at each attempt, since a server may refuse old signatures.
void sign(Request& request, const std::string& secret) {
  const auto now = static_cast<std::int64_t>(std::time(nullptr));
  request.headers = {{"User-Agent", "perdure/" PERDURE_VERSION}, {"X-Perdure-Timestamp", fmt::to_string(now)}};
  if (const auto event = environment("PERDURE_EVENT"); !event.empty())
    request.headers.emplace_back("X-Perdure-Event", event);
  if (!secret.empty()) request.headers.emplace_back("X-Perdure-Signature", signature(secret, now, request.body));
}

void pause(milliseconds time) {
  timespec left{.tv_sec = time.count() / 1000, .tv_nsec = time.count() % 1000 * 1'000'000};
  while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

Result<> deliver(Request& request, const std::string& secret, int retries, milliseconds timeout) {
  milliseconds wait = kFirstPause;
  for (int attempt = 0;; ++attempt) {
    sign(request, secret);
    const auto status = post(request, timeout);
    if (status && *status >= 200 && *status < 300) return {};
    const std::string why =
        status ? fmt::format("{} answered {}", request.url.authority(), *status) : status.error().message;
    if (attempt == retries || (status && !is_worth_another_try(*status)))
      return fail(ErrorCode::usage,
                  attempt == 0 ? why : fmt::format("{} (given up after {} attempts)", why, attempt + 1));
    fmt::print(stderr, "perdure: webhook: {}: tried again in {} ms\n", why, wait.count());
    pause(wait);
    wait = std::min(wait * 2, kLongestPause);
  }
}

bool parse(std::string_view text, long& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 0;
}

int run(int argc, char** argv) {
  long retries = 0;
  long timeout_ms = 0;
  if (argc != 5 || !parse(argv[3], retries) || !parse(argv[4], timeout_ms)) {
    fmt::print(stderr, "perdure-webhook: this program is started by perdure: use `perdure hook webhook`\n");
    return kUsage;
  }
  ::signal(SIGPIPE, SIG_IGN);
  use_own_name_service();
  prepare_name_lookup();
  const auto refuse = [](const Error& error) {
    fmt::print(stderr, "perdure: webhook: {}\n", error.message);
    return kFailed;
  };
  Request request;
  auto url = parse_url(argv[1]);
  if (!url) return refuse(url.error());
  request.url = std::move(*url);
  auto secret = read_secret(argv[2]);
  if (!secret) return refuse(secret.error());
  auto body = read_all(STDIN_FILENO, "the standard input");
  if (!body) return refuse(body.error());
  request.body = std::move(*body);
  if (auto done = deliver(request, *secret, static_cast<int>(retries), milliseconds(timeout_ms)); !done)
    return refuse(done.error());
  return 0;
}

}  // namespace
}  // namespace perdure::webhook

int main(int argc, char** argv) {
  try {
    return perdure::webhook::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "perdure: webhook: this is a bug, or memory ran out: {}\n", error.what());
    return 1;
  }
}
