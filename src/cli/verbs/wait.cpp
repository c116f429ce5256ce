#include "base/clock.h"
#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/start/waiting.h"
#include "cli/verbs/verbs.h"
#include "conditions/line_match.h"
#include "conditions/port.h"

#include <sys/resource.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace perdure::cli {
namespace {

using std::chrono::milliseconds;

constexpr int kWaitTimedOut = 75;
constexpr int kUnverified = 125;

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

// A usage error that says which option it is about.
Error about(std::string_view option, const std::string& given, Error error) {
  error.message = fmt::format("{}: '{}' is {}", option, harmless_line(given), error.message);
  return error;
}

Result<int> wait_for_match(TaskManager& manager, const TaskId& id, const std::string& pattern, const TimeLeft& time) {
  auto match = conditions::LineMatch::compile(manager, id, pattern);
  if (!match) return std::unexpected(about("--match", pattern, match.error()));
  const Interrupts interrupts;
  while (true) {
    auto matched = match->look();
    if (!matched) return std::unexpected(matched.error());
    if (*matched) return 0;
    if (match->is_at_end()) return 1;
    if (interrupts.came()) return kInterrupted;
    if (time.over()) return kWaitTimedOut;
    if (auto more = manager.await_output(id, match->offset(), time.left(), interrupts.fd()); !more)
      return std::unexpected(more.error());
  }
}

Result<int> wait_until_ready(TaskManager& manager, const TaskId& id, const std::string& where, const TimeLeft& time) {
  auto port = conditions::parse_port(where);
  if (!port) return std::unexpected(about("--ready", where, port.error()));
  const Interrupts interrupts;
  while (true) {
    if (conditions::is_port_open(*port)) return 0;
    auto waited = manager.wait(
        {.ids = {id}, .timeout = time.slice(conditions::kPortEvery), .cancel_fd = interrupts.fd(), .is_part = true});
    if (!waited) return std::unexpected(waited.error());
    if (!waited->ended.empty()) return conditions::is_port_open(*port) ? 0 : 1;
    if (interrupts.came()) return kInterrupted;
    if (time.over()) return kWaitTimedOut;
  }
}

std::string wait_json(const WaitResult& result) {
  return fmt::format(R"({{"timedOut":{},"ended":{},"running":{},"unverified":{}{}}})", result.timed_out,
                     tasks_json(result.ended), tasks_json(result.running), tasks_json(result.unverified),
                     result.decisive ? ",\"decisive\":" + task_json(*result.decisive) : "");
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
    for (const auto* const some : {&result.ended, &result.unverified})
      for (const auto& task : *some) put_line(fmt::format("{}  {}", task.id.str(), outcome_text(task)));
  if (options.owner) acknowledge(**manager, result);
  if (result.timed_out) {
    if (!call.json) note(fmt::format("perdure: the time is over: {} still running", result.running.size()));
    return kWaitTimedOut;
  }
  if (result.decisive) return exit_status_of(*result.decisive);
  if (ids->size() == 1) return exit_status_of(result.only());
  if (!result.unverified.empty()) return kUnverified;
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
