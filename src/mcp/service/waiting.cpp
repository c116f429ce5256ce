#include "mcp/service/waiting.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/utf8.h"
#include "conditions/line_match.h"
#include "conditions/port.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::mcp {

using std::chrono::milliseconds;

namespace {

std::string match_fault(std::string_view pattern, const Error& error) {
  return fmt::format("match: '{}' is {}", pattern, error.message);
}

std::string port_fault(std::string_view where, const Error& error) {
  return fmt::format("ready: '{}' is {}", where, error.message);
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
  auto result = call_.manager().wait({.ids = ids_,
                                      .mode = mode,
                                      .timeout = most(milliseconds(until_ - begun_)),
                                      .cancel = Cancellation::when_readable(call_.stop_fd()),
                                      .progress = progress});
  if (!result) return std::unexpected(result.error());
  return Waited{.result = std::move(*result)};
}

Result<Waited> Waiting::for_match(const std::string& pattern) {
  auto match = conditions::LineMatch::compile(call_.manager(), ids_.front(), pattern);
  if (!match) return fail(ErrorCode::usage, match_fault(pattern, match.error()));
  while (true) {
    auto found = match->look();
    if (!found) return std::unexpected(found.error());
    if (*found || match->is_at_end() || is_over()) {
      auto now = slice(milliseconds(0));
      if (!now) return std::unexpected(now.error());
      Waited outcome{.result = std::move(*now), .matched = *found};
      outcome.result.timed_out = !*found && !match->is_at_end();
      if (*found) outcome.line = to_valid_utf8(match->line());
      return outcome;
    }
    if (auto more = call_.manager().await_output(ids_.front(), match->offset(), most(kProgressEvery),
                                                 Cancellation::when_readable(call_.stop_fd()));
        !more)
      return std::unexpected(more.error());
    report(fmt::format("{} bytes of output, no match yet", match->offset()));
  }
}

Result<Waited> Waiting::for_port(const std::string& where) {
  auto port = conditions::parse_port(where);
  if (!port) return fail(ErrorCode::usage, port_fault(where, port.error()));
  while (true) {
    const bool open = conditions::is_port_open(*port);
    auto now = slice(open ? milliseconds(0) : conditions::kPortEvery);
    if (!now) return std::unexpected(now.error());
    const bool ended = now->running.empty();
    if (open || ended || is_over()) {
      now->timed_out = !open && !ended;
      return Waited{.result = std::move(*now), .matched = open};
    }
    report(fmt::format("{} accepts no connections yet", where));
  }
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

// Once a second at most, and with seconds as the measure: it always grows.
void Waiting::report(std::string_view message) {
  const std::int64_t second = waited_ms() / 1000;
  if (second <= reported_) return;
  reported_ = second;
  const std::int64_t total = (until_ - begun_) / 1000;
  report_progress(call_.request, static_cast<double>(second), message, static_cast<double>(total));
}

std::optional<std::string> condition_fault(TaskManager& manager, const std::optional<std::string>& match,
                                           const std::optional<std::string>& ready) {
  // Compiling looks at no task.
  if (match)
    if (const auto compiled = conditions::LineMatch::compile(manager, *TaskId::parse("bash-00000000"), *match);
        !compiled)
      return match_fault(*match, compiled.error());
  if (ready)
    if (const auto port = conditions::parse_port(*ready); !port) return port_fault(*ready, port.error());
  return std::nullopt;
}

}  // namespace perdure::mcp
