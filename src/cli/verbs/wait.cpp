#include "base/clock.h"
#include "base/error.h"
#include "base/json_writer.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/start/conditions.h"
#include "cli/start/waiting.h"
#include "cli/verbs/verbs.h"

#include <sys/resource.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace perdure::cli {
namespace {

constexpr int kWaitTimedOut = 75;
constexpr int kUnverified = 125;

constexpr Option kWaitOptions[] = {
    {"--any", nullptr, "until one has ended; its outcome is the exit status"},
    {"--all", nullptr, "until all have ended (the default)"},
    {"--first-failure", nullptr, "until one failed, or all have ended"},
    {"--timeout", "D", "give up after that long, with exit status 75; the tasks run on"},
    {"--owner", "O", "only this owner's tasks; it is not notified of what is printed here"},
    {"--drain", nullptr, "without ids: wait for tasks that start meanwhile, too"},
    {"--match", "REGEX", "until a line of the task's output matches, finished or not; 1 if it ends without one"},
    {"--since-now", nullptr, "with --match: only what it prints from now on"},
    {"--ready", "COND", "until the task serves tcp:PORT or http://localhost:PORT/PATH; 1 if it ends before"},
    {"--ready-owned", nullptr, "with --ready: an error where another process has the port"},
};

std::string wait_json(const WaitResult& result) {
  JsonObject json;
  json.add("timedOut", result.timed_out)
      .add("ended", RawJson{tasks_json(result.ended)})
      .add("running", RawJson{tasks_json(result.running)})
      .add("unverified", RawJson{tasks_json(result.unverified)});
  if (result.decisive) json.add("decisive", RawJson{task_json(*result.decisive)});
  return json.str();
}

// The printed tasks were reported to their owner, who is not notified again (L33). The result counts even if this can't
// be noted; the owner is then notified once more.
void acknowledge(TaskManager& manager, const WaitResult& result) {
  std::vector<std::string> ids;
  for (const auto& task : result.ended)
    if (task.detached) ids.push_back(task.id.str());
  if (auto done = manager.notifications().acknowledge(ids, "wait"); !done)
    note("perdure: " + harmless_text(done.error().message));
}

// A question ends when it is answered: a wait for all tasks says that it waits for questions (N22).
void note_questions(const TaskManager& manager, const std::optional<std::string>& owner) {
  ListFilter filter;
  filter.kind = Kind::question;
  filter.owner = owner;
  const auto open = manager.list(filter);
  if (!open) return;
  for (const auto& task : *open)
    note(fmt::format("perdure: waiting also for a question: {}; answer it: perdure answer {}",
                     harmless_line(task.description), task.id.str()));
}

Result<int> run_wait(Call& call) {
  auto ids = call.ids();
  auto timeout = call.duration("--timeout");
  if (!ids) return std::unexpected(ids.error());
  if (!timeout) return std::unexpected(timeout.error());
  const int modes = static_cast<int>(call.has("--any")) + static_cast<int>(call.has("--all")) +
                    static_cast<int>(call.has("--first-failure"));
  if (modes > 1) return fail(ErrorCode::usage, "--any, --all and --first-failure exclude each other");
  auto conditions = read_conditions(call);
  if (!conditions) return std::unexpected(conditions.error());
  if (conditions->any() && ids->size() != 1)
    return fail(ErrorCode::usage, "--match and --ready look at one task: give one id");
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  if (conditions->any()) {
    if (auto known = (*manager)->get(ids->front()); !known) return std::unexpected(known.error());
    auto met = await_conditions(**manager, ids->front(), *conditions, *timeout, false);
    if (!met) return std::unexpected(met.error());
    switch (*met) {
      case Met::yes: return 0;
      case Met::ended: return 1;
      case Met::interrupted: return kInterrupted;
      case Met::timed_out: return kWaitTimedOut;
    }
  }

  WaitOptions options{.ids = *ids, .timeout = *timeout, .drain = call.has("--drain"), .owner = call.value("--owner")};
  if (ids->empty()) note_questions(**manager, options.owner);
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
  // A descriptor for each task. Raised only here, after the last start of a command, which would inherit the limit.
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  const Interrupts interrupts;
  Progress progress;
  const std::int64_t started = steady_ms();
  WaitOptions watched = options;
  watched.cancel = Cancellation::when_readable(interrupts.fd());
  watched.unrecorded = [](const Task& task) {
    note(fmt::format("perdure: {}: {}", task.id.str(), *task.found.unrecorded_end));
  };
  // Without a terminal it sleeps once until the end; with one, the user sees the time.
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

const Verb kWaitVerb{"wait",       "[ID...]", "block until tasks end; without ids: all that are active",
                     kWaitOptions, run_wait,  true};

}  // namespace perdure::cli
