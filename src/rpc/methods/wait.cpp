#include "base/clock.h"
#include "base/time_left.h"
#include "conditions/line_match.h"
#include "conditions/ready.h"
#include "patterns/pattern.h"
#include "rpc/methods/methods.h"

#include <algorithm>

// task.wait
namespace perdure::rpc {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kVia = "rpc";

// The result of a wait for a condition: the task as it is now.
Reply reply_of_condition(Request& request, const TaskId& id, bool timed_out, bool met) {
  auto task = request.manager().get(id);
  if (!task) return failed(task.error());
  json::array none, one{task_json(*task)};
  const bool ended = is_terminal(task->status);
  return json::object{{"timedOut", timed_out},
                      {"met", met},
                      {"ended", ended ? one : none},
                      {"running", ended || task->found.unverified ? none : one},
                      {"unverified", task->found.unverified && !ended ? one : none}};
}

Reply wait_for_match(Request& request, const TaskId& id, const std::string& pattern, const TimeLeft& time) {
  auto match = patterns::match_lines(request.manager(), id, pattern);
  if (!match) return failed(match.error());
  while (true) {
    auto matched = match->look();
    if (!matched) return failed(matched.error());
    if (*matched || match->is_at_end()) return reply_of_condition(request, id, false, *matched);
    if (time.over() || request.call.stop.is_raised()) return reply_of_condition(request, id, true, false);
    auto patience = time.left();
    if (const auto settles = match->settles_in()) patience = std::min(patience.value_or(*settles), *settles);
    if (auto more = request.manager().await_output(id, match->offset(), patience,
                                                   Cancellation::when_readable(request.call.stop.fd()));
        !more)
      return failed(more.error());
  }
}

Reply wait_until_ready(Request& request, const TaskId& id, const std::string& where, const TimeLeft& time) {
  auto condition = conditions::parse_ready(where);
  if (!condition) return failed(condition.error());
  conditions::ReadyCheck check(std::move(*condition));
  check.watch(request.manager(), id, false);
  while (true) {
    auto ready = check.look();
    if (!ready) return failed(ready.error());
    if (*ready) return reply_of_condition(request, id, false, true);
    auto waited = request.manager().wait(
        {.ids = {id},
         .timeout = std::min(conditions::kReadyEvery, time.left().value_or(conditions::kReadyEvery)),
         .owner = {},
         .cancel = Cancellation::when_readable(request.call.stop.fd()),
         .progress = {},
         .part_of_longer_wait = true});
    if (!waited) return failed(waited.error());
    if (!waited->ended.empty()) {
      ready = check.look();  // the task may have put a server into the background
      if (!ready) return failed(ready.error());
      return reply_of_condition(request, id, false, *ready);
    }
    if (time.over() || request.call.stop.is_raised()) return reply_of_condition(request, id, true, false);
  }
}

Reply wait(Request& request) {
  auto ids = request.ids();
  if (!ids) return failed(ids.error());
  const auto match = request.text("match"), ready = request.text("ready");
  const TimeLeft time(request.time("timeoutMs"));
  if ((match || ready) && (ids->size() != 1 || (match && ready)))
    return refused("match and ready each look at one task: give one id and one of them");
  if (match) return wait_for_match(request, ids->front(), *match, time);
  if (ready) return wait_until_ready(request, ids->front(), *ready, time);

  WaitOptions options{.ids = std::move(*ids),
                      .timeout = time.left(),
                      .drain = request.is_true("drain"),
                      .owner = request.text("owner"),
                      .cancel = Cancellation::when_readable(request.call.stop.fd()),
                      .progress = {}};
  const auto mode = request.text("mode").value_or("all");
  options.mode = mode == "any" ? WaitMode::any : mode == "first_failure" ? WaitMode::first_failure : WaitMode::all;
  auto waited = request.manager().wait(options);
  if (!waited) return failed(waited.error());
  if (options.owner) {
    // An end that was reported to the owner is not notified again (L33): acknowledged once the answer was sent.
    std::vector<std::string> told;
    for (const auto& task : waited->ended)
      if (task.detached) told.push_back(task.id.str());
    request.after_answer = [place = request.client.place, told = std::move(told)] {
      [[maybe_unused]] const auto done =
          place->manager().notifications().acknowledge(told, kVia);  // on failure it is notified again
    };
  }
  json::object result{{"timedOut", waited->timed_out},
                      {"ended", tasks_json(waited->ended)},
                      {"running", tasks_json(waited->running)},
                      {"unverified", tasks_json(waited->unverified)}};
  if (waited->decisive) result["decisive"] = task_json(*waited->decisive);
  return result;
}

constexpr Field kParams[] = {
    {"ids", "string[]", "exact ids; absent or empty: every task that is active now"},
    {"mode", "all|any|first_failure", "default: all"},
    {"timeoutMs", "integer", "give up after that long; the tasks run on"},
    {"drain", "boolean", "without ids: wait for tasks that start meanwhile, too"},
    {"owner", "string", "only this owner's tasks; it is not notified of those in the result"},
    {"match", "string", "of one task: until a line of its output matches this regular expression (RE2)"},
    {"ready", "string",
     "of one task: `tcp:PORT` or `http://localhost:PORT/PATH`, until a process of the task serves it; `tcp:any:PORT`, "
     "`http+any://...`: any process"},
};
constexpr Field kResult[] = {
    {"timedOut", "boolean", "the time passed first", true},
    {"decisive", "Task", "of any and first_failure: the task that ended the wait"},
    {"ended", "Task[]", "in the order in which they ended", true},
    {"running", "Task[]", "", true},
    {"unverified", "Task[]", "nothing here can say when they end: they are not waited for", true},
    {"met", "boolean", "of match and ready: the condition holds"},
};

constexpr Method kWaitMethods[] = {
    {.name = "task.wait",
     .help = "Waits until tasks end, or until a condition holds. Cancelling it ends no task.",
     .writes = true,
     .repeat = Repeat::yes,
     .params = kParams,
     .result = kResult,
     .handle = wait},
};

}  // namespace

std::span<const Method> wait_methods() {
  return kWaitMethods;
}

}  // namespace perdure::rpc
