#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "cli/call.h"
#include "cli/print.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/waiting.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <regex>

namespace perdure::cli {
namespace {

using std::chrono::milliseconds;

constexpr int kWaitTimedOut = 75;
constexpr milliseconds kReadyEvery{100};  // a port that is not open yet has no event that could be waited for
constexpr std::int64_t kWindow = 1 << 20;

constexpr Option kOptions[] = {
    {"--any", nullptr, "until one has ended; its outcome is the exit status"},
    {"--all", nullptr, "until all have ended (the default)"},
    {"--first-failure", nullptr, "until one failed, or all have ended"},
    {"--timeout", "D", "give up after that long, with exit status 75; the tasks run on"},
    {"--owner", "O", "only this owner's tasks; it is not notified of what is printed here"},
    {"--drain", nullptr, "without ids: wait for tasks that start meanwhile, too"},
    {"--match", "REGEX", "until a line of the task's output matches; 1 if it ends without one"},
    {"--ready", "tcp:PORT", "until this machine's port accepts connections; 1 if the task ends before"},
};

// What is left of the time that was given; absent: for ever.
class TimeLeft {
 public:
  explicit TimeLeft(std::optional<milliseconds> timeout) {
    if (timeout) until_ = steady_ms() + timeout->count();
  }
  [[nodiscard]] std::optional<milliseconds> left() const {
    if (!until_) return std::nullopt;
    return milliseconds(std::max<std::int64_t>(0, *until_ - steady_ms()));
  }
  [[nodiscard]] milliseconds slice(milliseconds most) const { return std::min(most, left().value_or(most)); }
  [[nodiscard]] bool over() const { return until_ && steady_ms() >= *until_; }

 private:
  std::optional<std::int64_t> until_;
};

class LineMatcher {
 public:
  LineMatcher(TaskManager& manager, TaskId id, std::regex regex)
      : manager_(manager), id_(std::move(id)), regex_(std::move(regex)) {}

  // Reads what is new. True: a line matched. `eof` tells whether more may come.
  Result<bool> look() {
    while (true) {
      auto chunk = manager_.read_output(id_, offset_, kWindow);
      if (!chunk && chunk.error().code == ErrorCode::output_expired) {
        auto next = parse_integer(chunk.error().details["nextOffset"], 0, INT64_MAX);
        if (!next) return std::unexpected(chunk.error());
        offset_ = *next;
        partial_.clear();
        continue;
      }
      if (!chunk) return std::unexpected(chunk.error());
      offset_ = chunk->next_offset;
      eof = chunk->eof;
      partial_ += chunk->bytes;
      if (matches_in_lines()) return true;
      if (eof && !partial_.empty() && matches(partial_)) return true;
      if (chunk->bytes.empty()) return false;
    }
  }
  [[nodiscard]] std::int64_t offset() const { return offset_; }
  bool eof = false;

 private:
  // The regex of the standard library recurses; a line without an end must not end the program.
  static constexpr std::size_t kLongestLine = 16384;

  bool matches(std::string_view line) {
    line = line.substr(0, kLongestLine);
    return std::regex_search(line.begin(), line.end(), regex_);
  }
  bool matches_in_lines() {
    std::size_t start = 0;
    for (std::size_t end = 0; (end = partial_.find('\n', start)) != std::string::npos; start = end + 1)
      if (matches(std::string_view(partial_).substr(start, end - start))) return true;
    partial_.erase(0, start);
    if (partial_.size() <= kLongestLine) return false;
    const bool matched = matches(partial_);
    partial_.erase(0, partial_.size() - kLongestLine / 2);
    return matched;
  }

  TaskManager& manager_;
  TaskId id_;
  std::regex regex_;
  std::string partial_;
  std::int64_t offset_ = 0;
};

Result<std::regex> compile(const std::string& pattern) {
  try {
    return std::regex(pattern, std::regex::ECMAScript);
  } catch (const std::regex_error& error) {
    return fail(ErrorCode::usage,
                fmt::format("--match: '{}' is no regular expression: {}", harmless_line(pattern), error.what()));
  }
}

Result<int> wait_for_match(TaskManager& manager, const TaskId& id, const std::string& pattern, const TimeLeft& time) {
  auto regex = compile(pattern);
  if (!regex) return std::unexpected(regex.error());
  LineMatcher matcher(manager, id, std::move(*regex));
  const Interrupts interrupts;
  while (true) {
    auto matched = matcher.look();
    if (!matched) return std::unexpected(matched.error());
    if (*matched) return 0;
    if (matcher.eof) return 1;
    if (interrupts.came()) return kInterrupted;
    if (time.over()) return kWaitTimedOut;
    if (auto more = manager.await_output(id, matcher.offset(), time.left(), interrupts.fd()); !more)
      return std::unexpected(more.error());
  }
}

bool accepts(const sockaddr* address, socklen_t length) {
  const Fd socket(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return socket && ::connect(socket.get(), address, length) == 0;
}

bool port_is_open(std::uint16_t port) {
  sockaddr_in four{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  sockaddr_in6 six{.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
  return accepts(reinterpret_cast<const sockaddr*>(&four), sizeof four) ||
         accepts(reinterpret_cast<const sockaddr*>(&six), sizeof six);
}

Result<int> wait_until_ready(TaskManager& manager, const TaskId& id, std::string_view where, const TimeLeft& time) {
  if (!where.starts_with("tcp:"))
    return fail(ErrorCode::usage, fmt::format("--ready: '{}' is not of the form tcp:PORT", harmless_line(where)));
  auto port = parse_integer(where.substr(4), 1, 65535);
  if (!port) return std::unexpected(port.error());
  const Interrupts interrupts;
  while (true) {
    if (port_is_open(static_cast<std::uint16_t>(*port))) return 0;
    auto waited =
        manager.wait({.ids = {id}, .timeout = time.slice(kReadyEvery), .cancel_fd = interrupts.fd(), .is_part = true});
    if (!waited) return std::unexpected(waited.error());
    if (!waited->ended.empty()) return port_is_open(static_cast<std::uint16_t>(*port)) ? 0 : 1;
    if (interrupts.came()) return kInterrupted;
    if (time.over()) return kWaitTimedOut;
  }
}

std::string wait_json(const WaitResult& result) {
  return fmt::format(R"({{"timedOut":{},"ended":{},"running":{}{}}})", result.timed_out, tasks_json(result.ended),
                     tasks_json(result.running), result.decisive ? ",\"decisive\":" + task_json(*result.decisive) : "");
}

// What was printed was told to its owner, and is not told again (L33). That the result stands counts more than that
// this is noted: where it can't be, the owner hears of it once more.
void acknowledge(TaskManager& manager, const WaitResult& result) {
  std::vector<std::string> ids;
  for (const auto& task : result.ended)
    if (task.detached) ids.push_back(task.id.str());
  if (auto done = manager.acknowledge(ids, "wait"); !done) note("perdure: " + harmless_text(done.error().message));
}

Result<int> run(Call& call) {
  auto ids = call.ids();
  auto timeout = call.duration("--timeout");
  if (!ids) return std::unexpected(ids.error());
  if (!timeout) return std::unexpected(timeout.error());
  const int modes = static_cast<int>(call.has("--any")) + static_cast<int>(call.has("--all")) +
                    static_cast<int>(call.has("--first-failure"));
  if (modes > 1) return fail(ErrorCode::usage, "--any, --all and --first-failure exclude each other");
  const auto match = call.value("--match");
  const auto ready = call.value("--ready");
  if ((match || ready) && (ids->size() != 1 || (match && ready)))
    return fail(ErrorCode::usage, "--match and --ready each look at one task: give one id and one of them");
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  const TimeLeft time(*timeout);
  if (match) return wait_for_match(**manager, ids->front(), *match, time);
  if (ready) return wait_until_ready(**manager, ids->front(), *ready, time);

  WaitOptions options{.ids = *ids, .timeout = *timeout, .drain = call.has("--drain"), .owner = call.value("--owner")};
  if (call.has("--any")) options.mode = WaitMode::any;
  if (call.has("--first-failure")) options.mode = WaitMode::first_failure;
  auto waited = wait_with_progress(**manager, options);
  if (!waited) return std::unexpected(waited.error());
  if (waited->interrupted) return kInterrupted;
  const WaitResult& result = waited->result;
  if (call.json) put_line(wait_json(result));
  if (!call.json)
    for (const auto& task : result.ended) put_line(fmt::format("{}  {}", task.id.str(), outcome_text(task)));
  if (options.owner) acknowledge(**manager, result);
  if (result.timed_out) {
    if (!call.json) note(fmt::format("perdure: the time is over: {} still running", result.running.size()));
    return kWaitTimedOut;
  }
  if (result.decisive) return exit_status_of(*result.decisive);
  if (result.ended.size() == 1 && ids->size() == 1) return exit_status_of(result.ended.front());
  return std::ranges::all_of(result.ended, [](const Task& task) { return task.status == Status::completed; }) ? 0 : 1;
}

}  // namespace

Result<Waited> wait_with_progress(TaskManager& manager, const WaitOptions& options) {
  // A descriptor a task. Only here, where no command is started any more that would inherit it.
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  const Interrupts interrupts;
  Progress progress;
  const std::int64_t started = steady_ms();
  WaitOptions watched = options;
  watched.cancel_fd = interrupts.fd();
  // Without a terminal there is one sleep until the end; with one, a person sees the seconds go by.
  if (progress.is_wanted())
    watched.progress = [&](std::size_t running) {
      progress.show(fmt::format("waiting for {} task{}, {}", running, running == 1 ? "" : "s",
                                duration_text(steady_ms() - started)));
    };
  auto result = manager.wait(watched);
  if (!result) return std::unexpected(result.error());
  const bool interrupted = result->timed_out && interrupts.came();
  return Waited{.result = std::move(*result), .interrupted = interrupted};
}

const Verb kWaitVerb{"wait", "[ID...]", "block until tasks end; without ids: all that are active", kOptions, run, true};

}  // namespace perdure::cli
