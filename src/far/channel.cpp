#include "far/channel.h"

#include "base/clock.h"
#include "base/try.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace perdure::far {
namespace {

constexpr std::size_t kMostErrorText = 65'536;
constexpr std::size_t kMostLine = 16 << 20;

// The user's ssh configuration says who, where and with which key. These options say that no user is there to answer
// prompts, that a dead peer has to be noticed, and that only this conversation uses the connection.
constexpr std::array<const char*, 13> kSshOptions = {"-T",
                                                     "-o",
                                                     "BatchMode=yes",
                                                     "-o",
                                                     "RemoteCommand=none",
                                                     "-o",
                                                     "ConnectTimeout=15",
                                                     "-o",
                                                     "ServerAliveInterval=15",
                                                     "-o",
                                                     "ServerAliveCountMax=3",
                                                     "-o",
                                                     "ClearAllForwardings=yes"};
constexpr const char* kShell = "exec /bin/sh -s";
constexpr std::size_t kMostInWord = 16'384;  // of a script; one argument may have 128 KiB, and each byte becomes five

// What stands on standard input is sent only once the command was: over a far link that is a whole way there and back. So
// the script is in the command where nothing in it is for this host's `ps` not to show. Any login shell reads it alike:
// one line, no quote and no doubled backslash inside of quotes.
std::string shell_with(std::string_view script) {
  std::string word = "exec /bin/sh -c 'eval \"$(printf %b \"";
  for (const char c : script) {
    const auto byte = static_cast<unsigned char>(c);
    word += fmt::format("\\0{:03o}", static_cast<unsigned>(byte));
  }
  return word + "\")\"'";
}

bool may_be_seen(std::string_view script) {
  return script.size() <= kMostInWord && !script.contains("--env=");
}

std::vector<std::string> command_for(const ExecutorDefinition& executor, std::string_view shell, bool may_be_master) {
  if (!executor.transport.empty()) {
    auto words = executor.transport;
    words.insert(words.end(), {"/bin/sh", "-s"});
    return words;
  }
  std::vector<std::string> words{"ssh"};
  words.insert(words.end(), kSshOptions.begin(), kSshOptions.end());
  if (!may_be_master) words.insert(words.end(), {"-o", "ControlMaster=no"});
  words.insert(words.end(), {"--", executor.host, std::string(shell)});
  return words;
}

std::string random_mark() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<unsigned char, 8> random{};
  static_cast<void>(!::getrandom(random.data(), random.size(), 0));
  std::string mark = "perdure-";
  for (const unsigned char byte : random) {
    mark += kDigits[byte >> 4U];
    mark += kDigits[byte & 15U];
  }
  return mark;
}

std::string last_line(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  const auto at = text.rfind('\n');
  return std::string(at == std::string_view::npos ? text : text.substr(at + 1));
}

bool speaks_of_login(std::string_view text) {
  constexpr std::array<std::string_view, 4> kWords = {"Permission denied", "Host key verification failed",
                                                      "REMOTE HOST IDENTIFICATION HAS CHANGED",
                                                      "Too many authentication failures"};
  return std::ranges::any_of(kWords, [&](std::string_view word) { return text.contains(word); });
}

}  // namespace

std::unexpected<Error> far_failure(std::string_view why, std::string message) {
  auto failure = fail(ErrorCode::session_unusable, std::move(message));
  failure.error().details["far"] = why;
  return failure;
}

bool is_far_failure(const Error& error, std::string_view why) {
  const auto found = error.details.find("far");
  return found != error.details.end() && found->second == why;
}

std::string place_of(const ExecutorDefinition& executor) {
  return executor.transport.empty() ? executor.host : fmt::format("{}", fmt::join(executor.transport, " "));
}

std::string for_shell(std::string_view word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string path_for_shell(std::string_view path) {
  return path.starts_with("~/") ? "\"$HOME\"/" + for_shell(path.substr(2)) : for_shell(path);
}

Result<Channel> Channel::open(const ExecutorDefinition& executor, std::string_view body,
                              const ChannelOptions& options) {
  const std::string mark = random_mark();
  const auto script = fmt::format(
      "unset PERDURE_SESSION PERDURE_ON PERDURE_TASK_ID PERDURE_TASK_KEY PERDURE_MAX_RUNNING_TASKS\n"
      "say() {{ printf '%s %s\\n' {} \"$*\"; }}\nmain() {{\n{}\nexit 0\n}}\nmain\n",
      mark, body);
  const bool in_word = executor.transport.empty() && may_be_seen(script);
  auto child = Child::spawn(command_for(executor, in_word ? shell_with(script) : kShell, options.may_be_master),
                            plain_environment());
  if (!child) return std::unexpected(child.error());
  Channel channel(std::move(*child), mark, place_of(executor), options);
  if (in_word) return channel;
  if (auto sent = channel.send(script); !sent) return std::unexpected(sent.error());
  return channel;
}

std::unexpected<Error> Channel::cut() {
  if (speaks_of_login(errors_) && !was_heard_)
    return far_failure(
        kRefused, fmt::format("{} refused the login ({}): log in once: ssh {}", place_, last_line(errors_), place_));
  const std::string why = last_line(errors_);
  return far_failure(kUnreachable, fmt::format("{} {}: {}", place_, was_heard_ ? "is cut off" : "can't be reached",
                                               why.empty() ? "the connection ended" : why));
}

Result<bool> Channel::read_more() {
  std::array<char, 65'536> part{};
  while (true) {
    if (output_ended_) return false;
    std::array<pollfd, 3> fds = {{{.fd = child_.output(), .events = POLLIN, .revents = 0},
                                  {.fd = errors_ended_ ? -1 : child_.errors(), .events = POLLIN, .revents = 0},
                                  {.fd = options_.cancel_fd, .events = POLLIN, .revents = 0}}};
    const std::int64_t left =
        options_.until < 0 ? -1 : std::clamp<std::int64_t>(options_.until - steady_ms(), 0, INT32_MAX);
    const int n = ::poll(fds.data(), fds.size(), static_cast<int>(left));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("waiting for", place_);
    if (n == 0) return far_failure(kUnreachable, fmt::format("{} does not answer", place_));
    if (fds[1].revents != 0) {
      const ssize_t got = ::read(child_.errors(), part.data(), part.size());
      if (got <= 0 && errno != EINTR) errors_ended_ = true;
      if (got > 0) errors_.append(part.data(), static_cast<std::size_t>(got));
      if (errors_.size() > kMostErrorText) errors_.erase(0, errors_.size() - kMostErrorText);
    }
    if (fds[0].revents != 0) {
      const ssize_t got = ::read(child_.output(), part.data(), part.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        output_ended_ = true;
        return false;
      }
      buffer_.append(part.data(), static_cast<std::size_t>(got));
      return true;
    }
    if (fds[2].revents != 0) return far_failure(kUnreachable, fmt::format("{}: given up", place_));
  }
}

Result<std::string> Channel::line() {
  std::size_t looked = 0;
  while (true) {
    if (const auto end = buffer_.find('\n', looked); end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    looked = buffer_.size();
    if (looked > kMostLine) return far_failure(kUnreachable, fmt::format("{} sends a line without an end", place_));
    TRY(auto more, read_more());
    if (more) continue;
    static_cast<void>(finish());
    return cut();
  }
}

Result<std::string> Channel::hear() {
  while (true) {
    auto said = line();
    if (!said) return said;
    // A login script may print a line without an end.
    const auto at = said->find(mark_ + " ");
    if (at == std::string::npos) continue;
    was_heard_ = true;
    return said->substr(at + mark_.size() + 1);
  }
}

Result<std::string> Channel::bytes(std::size_t count) {
  while (buffer_.size() < count) {
    TRY(auto more, read_more());
    if (!more) return cut();
  }
  std::string taken = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return taken;
}

Result<std::string> Channel::rest() {
  while (true) {
    TRY(auto more, read_more());
    if (!more) return std::exchange(buffer_, {});
  }
}

Result<> Channel::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(child_.input(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) {
      static_cast<void>(rest());
      static_cast<void>(finish());
      return cut();
    }
    std::array<pollfd, 2> fds = {{{.fd = child_.input(), .events = POLLOUT, .revents = 0},
                                  {.fd = options_.cancel_fd, .events = POLLIN, .revents = 0}}};
    const std::int64_t left =
        options_.until < 0 ? -1 : std::clamp<std::int64_t>(options_.until - steady_ms(), 0, INT32_MAX);
    const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(left));
    if (ready == 0) return far_failure(kUnreachable, fmt::format("{} does not take what is sent", place_));
    if (ready > 0 && fds[0].revents == 0) return far_failure(kUnreachable, fmt::format("{}: given up", place_));
  }
  return {};
}

Result<int> Channel::finish() {
  while (!errors_ended_) {
    std::array<char, 4096> part{};
    pollfd look{.fd = child_.errors(), .events = POLLIN, .revents = 0};
    const std::int64_t left =
        options_.until < 0 ? 5'000 : std::clamp<std::int64_t>(options_.until - steady_ms(), 0, 5'000);
    // A master connection that ssh left behind holds this stream open: only the program's own exit counts.
    if (::poll(&look, 1,
               output_ended_ ? static_cast<int>(std::min<std::int64_t>(left, 200)) : static_cast<int>(left)) <= 0)
      break;
    const ssize_t got = ::read(child_.errors(), part.data(), part.size());
    if (got <= 0) errors_ended_ = true;
    if (got > 0) errors_.append(part.data(), static_cast<std::size_t>(got));
  }
  const auto ended = child_.wait(options_.until, options_.cancel_fd);
  if (!ended) return far_failure(kUnreachable, fmt::format("{} does not answer", place_));
  return ended->exit_code < 0 ? 255 : ended->exit_code;
}

}  // namespace perdure::far
