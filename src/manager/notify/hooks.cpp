#include "manager/notify/hooks.h"

#include "base/error.h"
#include "base/json_writer.h"
#include "codec/record.h"
#include "contract/hook_events.h"
#include "contract/names.h"
#include "manager/link/launch_spec.h"
#include "manager/link/program.h"
#include "manager/link/spawn.h"
#include "manager/notify/notification.h"

#include <sys/stat.h>

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <regex>

namespace perdure::manager {
namespace {

constexpr std::chrono::seconds kOnEndTimeout{30}, kLeastTimeout{1}, kMostTimeout{600};
constexpr std::uint32_t kEveryEnd = contract::hook_completed | contract::hook_failed | contract::hook_timed_out |
                                    contract::hook_killed | contract::hook_lost;

// Absent: it is not a valid regular expression.
std::optional<std::uint32_t> events_matched(const std::string& matcher) {
  try {
    const std::regex regex(matcher);
    std::uint32_t events = 0;
    for (const auto& known : contract::kHookEvents)
      if (std::regex_search(known.name, regex)) events |= known.event;
    return events;
  } catch (const std::regex_error&) {
    return std::nullopt;
  }
}

contract::HookEvent event_of(Status status) {
  switch (status) {
    case Status::completed: return contract::hook_completed;
    case Status::failed: return contract::hook_failed;
    case Status::timed_out: return contract::hook_timed_out;
    case Status::killed: return contract::hook_killed;
    case Status::queued:
    case Status::running:
    case Status::lost: break;
  }
  return contract::hook_lost;
}

std::string news_of(const store::Session& session, const Task& task) {
  const Notification news = describe_end(session, task);
  return fmt::format(
      R"({{"event":"{}",{},"task":{},"notification":{{"id":{},"type":"{}","source_kind":"{}","source_id":"{}",)"
      R"("severity":"{}","title":{},"body":{}}}}})"
      "\n",
      news.type, told_first(session, task.origin.cwd.value_or("")), record_json(task), json_quoted(news.id), news.type,
      news.source_kind, news.source_id, name_of(news.severity), json_quoted(news.title), json_quoted(news.body));
}

}  // namespace

Result<> check_hooks(const std::vector<Hook>& hooks) {
  for (const auto& hook : hooks) {
    if (hook.command.empty() || hook.command.contains('\0'))
      return fail(ErrorCode::config_invalid, "a hook has no command, or one with a NUL byte: give it a shell line");
    if (hook.timeout < kLeastTimeout || hook.timeout > kMostTimeout)
      return fail(ErrorCode::config_invalid, fmt::format("the timeout of the hook '{}' is {} s: give 1 to {}",
                                                         hook.command, hook.timeout.count(), kMostTimeout.count()));
    if (!events_matched(hook.matcher))
      return fail(ErrorCode::config_invalid,
                  fmt::format("the matcher of the hook '{}' is not a valid regular expression: {}", hook.command,
                              hook.matcher));
  }
  return {};
}

std::vector<PlannedHook> plan_hooks(const std::vector<Hook>& configured, const std::vector<std::string>& on_end) {
  std::vector<PlannedHook> planned;
  const auto add = [&](const std::string& command, std::uint32_t events, std::chrono::seconds timeout) {
    for (const auto& before : planned)
      if (before.command == command) events &= ~before.events;
    if (events != 0) planned.push_back({.events = events, .timeout = timeout, .command = command});
  };
  for (const auto& hook : configured) add(hook.command, events_matched(hook.matcher).value_or(0), hook.timeout);
  for (const auto& command : on_end) add(command, kEveryEnd, kOnEndTimeout);
  return planned;
}

std::string told_first(const store::Session& session, const std::string& cwd) {
  return fmt::format(R"("session":{},"cwd":{})", json_quoted(session.path()), json_quoted(cwd));
}

void tell_end(const store::Session& session, const ManagerOptions& options, const Task& task, bool runs_on_end) {
  if (!task.detached) return;
  const contract::HookEvent event = event_of(task.status);
  Launch launch;
  // Commands in the record are run only if this user signed them (L51); a living runner has its own copy.
  launch.hooks =
      plan_hooks(options.hooks, runs_on_end || options.trust ? task.notification.on_end : std::vector<std::string>());
  std::erase_if(launch.hooks, [&](const PlannedHook& hook) { return (hook.events & event) == 0; });
  const auto runner = launch.hooks.empty() ? fail(ErrorCode::usage, "") : find_runner(options.runner);
  if (!runner) return;
  // Where output of hooks is noted. The folder of another program's task, if any, is not written to.
  if (task.found.source == session.record_path(task.id)) ::mkdir(session.folder_path(task.id).c_str(), 0700);
  const std::string marker = session.marker(task.id);
  launch.only_event = event;
  launch.constant_members = news_of(session, task);
  launch.cwd = task.origin.cwd.value_or("/");
  launch.environment = environment_for({}, launch.cwd);
  auto spec = memory_file(launch_spec(launch));
  if (spec)
    static_cast<void>(spawn_runner({.runner = *runner,
                                    .session = session.path(),
                                    .id = task.id.str(),
                                    .marker = marker,
                                    .spec = *spec,
                                    .entry = {}}));
}

}  // namespace perdure::manager
