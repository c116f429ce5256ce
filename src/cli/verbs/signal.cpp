#include "base/error.h"
#include "base/json_writer.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/verbs/verbs.h"

#include <signal.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>

namespace perdure::cli {
namespace {

constexpr Option kSignalOptions[] = {kYesOption};

Result<int> signal(Call& call) {
  if (call.arguments.size() != 2) return fail(ErrorCode::usage, "give a task id and a signal: perdure signal ID HUP");
  auto id = call.resolve(call.arguments[0], Call::Use::acts);
  if (!id) return std::unexpected(id.error());
  const auto number = signal_number(call.arguments[1]);
  if (!number)
    return fail(ErrorCode::usage, fmt::format("'{}' is not a signal: write a name such as HUP or USR1, or a number",
                                              harmless_line(call.arguments[1])));
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  if (auto sent = (*manager)->signal(*id, *number); !sent) return std::unexpected(sent.error());
  if (call.json) put_line(JsonObject().add("taskId", id->str()).add("signal", *number).str());
  return 0;
}

}  // namespace

const Verb kSignalVerb{"signal", "ID SIG", "send a signal to a task's command", kSignalOptions, signal, true};

}  // namespace perdure::cli
