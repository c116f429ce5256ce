#include "mcp/service/foreground.h"

#include "base/clock.h"
#include "base/try.h"

#include <fmt/format.h>

#include <optional>

namespace perdure::mcp {
namespace {}  // namespace

Result<Outcome> run_in_foreground(ToolCall& call, StartOptions start, std::chrono::seconds patience,
                                  std::chrono::seconds afterwards) {
  start.detached = false;
  start.timeout = patience;
  start.on_timeout = call.service.options().moves_to_background ? OnTimeout::detach : OnTimeout::stop;
  start.detach_timeout = afterwards;
  TRY(auto task, call.manager().start(start));
  const std::int64_t begun = steady_ms();
  const bool reports = call.request.meta().contains("progressToken");
  while (true) {
    TRY(auto released, call.manager().wait_for_release(task.id, reports ? std::optional(kProgressEvery) : std::nullopt,
                                                       Cancellation::when_readable(call.stop_fd())));
    switch (released.how) {
      case Release::terminal: return Outcome{Outcome::How::ended, std::move(released.task), ""};
      case Release::detached:
        return Outcome{Outcome::How::moved_to_background, std::move(released.task), "it was detached"};
      case Release::timeout_detached:
        return Outcome{Outcome::How::moved_to_background, std::move(released.task),
                       fmt::format("it did not end within {} second{}; its deadline is now {} seconds from then",
                                   patience.count(), patience.count() == 1 ? "" : "s", afterwards.count())};
      case Release::waiting: break;
    }
    if (call.request.call.stop.is_raised()) {
      if (call.request.call.why == jsonrpc::Call::Ended::hung_up) {
        TRY(auto detached, call.manager().detach(task.id));
        return Outcome{Outcome::How::moved_to_background, std::move(detached), "its caller has gone"};
      }
      TRY(auto stopped, call.manager().stop(task.id, {.reason = "Interrupted", .by = call.owner()}));
      return Outcome{Outcome::How::interrupted, std::move(stopped), ""};
    }
    const auto output = call.manager().output_snapshot(task.id, 0);
    report_progress(call.request, static_cast<double>((steady_ms() - begun) / 1000),
                    fmt::format("running, {} bytes of output", output ? output->size_bytes : 0),
                    static_cast<double>(patience.count()));
  }
}

}  // namespace perdure::mcp
