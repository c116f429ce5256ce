#include "base/time_left.h"
#include "conditions/line_match.h"
#include "conditions/ready.h"
#include <perdure/condition.h>

#include <poll.h>

#include <algorithm>
#include <utility>

namespace perdure {

using conditions::LineMatch;
using conditions::ReadyCheck;

// One of both.
struct Condition::State {
  std::optional<ReadyCheck> ready;
  LineTest test;
};

// So that the public header names no type of this layer.
struct ConditionAccess {
  static std::optional<ReadyCheck>& ready(Condition& condition) { return condition.state_->ready; }
  static const Condition::LineTest& test(const Condition& condition) { return condition.state_->test; }
};

namespace {

bool is_cancelled(const Cancellation& cancel) {
  pollfd look{.fd = cancel.fd(), .events = POLLIN, .revents = 0};
  return cancel.token().stop_requested() || (look.fd >= 0 && ::poll(&look, 1, 0) > 0);
}

Result<Awaited> await_line(TaskManager& manager, const TaskId& id, const Condition::LineTest& test,
                           const ConditionWait& options, const TimeLeft& time) {
  LineMatch match(manager, id, test);
  match.start_at(options.offset);
  while (true) {
    auto matched = match.look();
    if (!matched) return std::unexpected(matched.error());
    if (*matched) return Awaited{.how = Awaited::How::met, .line = match.line()};
    if (match.is_at_end()) return Awaited{.how = Awaited::How::ended};
    if (time.over() || is_cancelled(options.cancel)) return Awaited{.how = Awaited::How::timed_out};
    auto patience = time.left();
    if (const auto settles = match.settles_in()) patience = std::min(patience.value_or(*settles), *settles);
    if (auto more = manager.await_output(id, match.offset(), patience, options.cancel); !more)
      return std::unexpected(more.error());
  }
}

Result<Awaited> await_ready(TaskManager& manager, const TaskId& id, ReadyCheck& check, const ConditionWait& options,
                            const TimeLeft& time) {
  check.watch(manager, id, options.is_new);
  while (true) {
    auto ready = check.look();
    if (!ready) return std::unexpected(ready.error());
    if (*ready) return Awaited{.how = Awaited::How::met, .note = check.note()};
    // What listens is no event of ours: looked at again after a moment.
    auto waited = manager.wait({.ids = {id},
                                .timeout = time.slice(conditions::kReadyEvery),
                                .cancel = options.cancel,
                                .part_of_longer_wait = true});
    if (!waited) return std::unexpected(waited.error());
    if (!waited->ended.empty() || !waited->unverified.empty()) {
      ready = check.look();  // a server that put itself into the background
      if (ready && *ready) return Awaited{.how = Awaited::How::met, .note = check.note()};
      return Awaited{.how = Awaited::How::ended, .note = conditions::address_in_use(manager, id)};
    }
    if (time.over() || is_cancelled(options.cancel)) return Awaited{.how = Awaited::How::timed_out};
  }
}

}  // namespace

Condition::Condition(std::unique_ptr<State> state) : state_(std::move(state)) {}
Condition::Condition(Condition&&) noexcept = default;
Condition& Condition::operator=(Condition&&) noexcept = default;
Condition::~Condition() = default;

Result<Condition> Condition::ready(std::string_view where, bool owned) {
  auto condition = conditions::parse_ready(where);
  if (!condition) return std::unexpected(condition.error());
  auto state = std::make_unique<State>();
  state->ready.emplace(std::move(*condition), owned);
  return Condition(std::move(state));
}

Condition Condition::line(LineTest test) {
  auto state = std::make_unique<State>();
  state->test = std::move(test);
  return Condition(std::move(state));
}

Condition Condition::text(std::string text) {
  return line([text = std::move(text)](std::string_view line, bool /*ends*/) { return line.contains(text); });
}

Result<Awaited> await_condition(TaskManager& manager, const TaskId& id, Condition& condition,
                                const ConditionWait& options) {
  const TimeLeft time(options.timeout);
  if (auto known = manager.get(id); !known) return std::unexpected(known.error());
  if (auto& ready = ConditionAccess::ready(condition)) return await_ready(manager, id, *ready, options, time);
  return await_line(manager, id, ConditionAccess::test(condition), options, time);
}

}  // namespace perdure
