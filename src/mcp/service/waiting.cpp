#include "mcp/service/waiting.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/try.h"
#include "base/utf8.h"
#include "conditions/line_match.h"
#include "conditions/ready.h"
#include "patterns/pattern.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::mcp {

using std::chrono::milliseconds;

namespace {

std::string match_fault(std::string_view pattern, const Error& error) {
  return fmt::format("match: '{}' is {}", pattern, error.message);
}

std::string ready_fault(std::string_view where, const Error& error) {
  return fmt::format("ready: '{}': {}", where, error.message);
}

}  // namespace

Waiting::Waiting(ToolCall& call, std::vector<TaskId> ids, milliseconds timeout)
    : call_(call), ids_(std::move(ids)), begun_(steady_ms()), until_(begun_ + timeout.count()) {}

std::int64_t Waiting::waited_ms() const {
  return steady_ms() - begun_;
}

std::int64_t Waiting::begun_ms() const {
  return now_ms() - waited_ms();
}

Result<Waited> Waiting::for_ends(WaitMode mode) {
  const auto progress = [this](std::size_t running) {
    report(fmt::format("{} of {} have ended", ids_.size() - std::min(running, ids_.size()), ids_.size()));
  };
  TRY(auto result, call_.manager().wait({.ids = ids_,
                                         .mode = mode,
                                         .timeout = most(milliseconds(until_ - begun_)),
                                         .cancel = Cancellation::when_readable(call_.stop_fd()),
                                         .progress = progress}));
  return Waited{.result = std::move(result)};
}

Result<Waited> Waiting::for_match(const std::string& pattern) {
  auto match = patterns::match_lines(call_.manager(), ids_.front(), pattern);
  if (!match) return fail(ErrorCode::usage, match_fault(pattern, match.error()));
  while (true) {
    TRY(auto found, match->look());
    if (found || match->is_at_end() || is_over()) {
      TRY(auto now, slice(milliseconds(0)));
      Waited outcome{.result = std::move(now), .matched = found};
      outcome.result.timed_out = !found && !match->is_at_end();
      if (found) outcome.line = to_valid_utf8(match->line());
      return outcome;
    }
    const auto patience = std::min(kProgressEvery, match->settles_in().value_or(kProgressEvery));
    TRY_VOID(call_.manager().await_output(ids_.front(), match->offset(), most(patience),
                                          Cancellation::when_readable(call_.stop_fd())));
    report(fmt::format("{} bytes of output, no match yet", match->offset()));
  }
}

Result<Waited> Waiting::for_ready(conditions::ReadyCheck& check) {
  while (true) {
    auto ready = check.look();
    if (!ready) return std::unexpected(ready.error());
    TRY(auto now, slice(*ready ? milliseconds(0) : conditions::kReadyEvery));
    const bool ended = now.running.empty();
    if (ended && !*ready) {
      // The task may have put a server into the background.
      ready = check.look();
      if (!ready) return std::unexpected(ready.error());
    }
    if (*ready || ended || is_over()) {
      now.timed_out = !*ready && !ended;
      Waited outcome{.result = std::move(now), .matched = *ready};
      if (*ready) outcome.note = to_valid_utf8(check.note());
      return outcome;
    }
    report("no process of the task listens there yet");
  }
}

Result<conditions::ReadyCheck> ready_check(const std::string& where) {
  auto condition = conditions::parse_ready(where);
  if (!condition) return fail(ErrorCode::usage, ready_fault(where, condition.error()));
  return conditions::ReadyCheck(std::move(*condition));
}

bool Waiting::is_over() const {
  return call_.request.call.stop.is_raised() || steady_ms() >= until_;
}

milliseconds Waiting::most(milliseconds wanted) const {
  return std::min(wanted, milliseconds(std::max<std::int64_t>(0, until_ - steady_ms())));
}

Result<WaitResult> Waiting::slice(milliseconds wanted) {
  return call_.manager().wait({.ids = ids_,
                               .timeout = most(wanted),
                               .cancel = Cancellation::when_readable(call_.stop_fd()),
                               .part_of_longer_wait = true});
}

// At most once a second, measured in seconds, so that the value always grows.
void Waiting::report(std::string_view message) {
  const std::int64_t second = waited_ms() / 1000;
  if (second <= reported_) return;
  reported_ = second;
  const std::int64_t total = (until_ - begun_) / 1000;
  report_progress(call_.request, static_cast<double>(second), message, static_cast<double>(total));
}

std::optional<std::string> condition_fault(const std::optional<std::string>& match,
                                           const std::optional<std::string>& ready) {
  if (match)
    if (const auto compiled = patterns::Pattern::compile(*match); !compiled)
      return match_fault(*match, compiled.error());
  if (ready)
    if (const auto parsed = conditions::parse_ready(*ready); !parsed) return ready_fault(*ready, parsed.error());
  return std::nullopt;
}

}  // namespace perdure::mcp
