#include "mcp/foreground.h"

#include "base/clock.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::mcp {
namespace {

constexpr std::chrono::milliseconds kProgressEvery{1000};

}  // namespace

Result<Released> run_in_foreground(ToolCall& call, const StartOptions& start, std::chrono::milliseconds patience) {
  auto task = call.manager().start(start);
  if (!task) return std::unexpected(task.error());
  const std::int64_t begun = steady_ms();
  const std::int64_t until = begun + patience.count();
  const bool reports = call.request.meta().contains("progressToken");
  while (true) {
    const std::chrono::milliseconds left(std::max<std::int64_t>(0, until - steady_ms()));
    auto waited = call.manager().wait(
        {.ids = {task->id}, .timeout = reports ? std::min(left, kProgressEvery) : left, .cancel_fd = call.stop_fd()});
    if (!waited) return std::unexpected(waited.error());
    if (!waited->ended.empty()) return Released{Released::How::ended, std::move(waited->ended.front())};
    if (call.request.call.stop.is_raised()) {
      if (call.request.call.why == jsonrpc::Call::Ended::hung_up)
        return Released{Released::How::moved_to_background, std::move(*task)};
      auto stopped = call.manager().stop(task->id, {.reason = "Interrupted", .by = call.owner()});
      if (!stopped) return std::unexpected(stopped.error());
      return Released{Released::How::interrupted, std::move(*stopped)};
    }
    if (steady_ms() >= until) return Released{Released::How::moved_to_background, std::move(waited->running.front())};
    if (reports) {
      const auto output = call.manager().output_snapshot(task->id, 0);
      report_progress(call.request, static_cast<double>((steady_ms() - begun) / 1000),
                      fmt::format("running, {} bytes of output", output ? output->size_bytes : 0),
                      static_cast<double>(patience.count() / 1000));
    }
  }
}

void forget(ToolCall& call, const Task& task) {
  // A failure leaves a record more than needed, which retention takes.
  [[maybe_unused]] const auto removed = call.manager().remove(task.id);
}

}  // namespace perdure::mcp
