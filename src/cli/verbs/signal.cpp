#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/verbs/verbs.h"

#include <signal.h>

#include <fmt/format.h>

#include <array>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>

namespace perdure::cli {
namespace {

std::optional<int> signal_number(std::string_view text) {
  if (const auto number = parse_integer(text, 1, SIGRTMAX)) return static_cast<int>(*number);
  if (text.starts_with("SIG")) text.remove_prefix(3);
  for (int number = 1; number < NSIG; ++number)
    if (const char* const name = ::sigabbrev_np(number); name != nullptr && name == text) return number;
  return std::nullopt;
}

Result<int> signal(Call& call) {
  if (call.arguments.size() != 2) return fail(ErrorCode::usage, "give a task id and a signal: perdure signal ID HUP");
  auto id = TaskId::parse(call.arguments[0]);
  if (!id) return std::unexpected(id.error());
  const auto number = signal_number(call.arguments[1]);
  if (!number)
    return fail(ErrorCode::usage, fmt::format("'{}' is no signal: write a name such as HUP or USR1, or a number",
                                              harmless_line(call.arguments[1])));
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  if (auto sent = (*manager)->signal(*id, *number); !sent) return std::unexpected(sent.error());
  if (call.json) put_line(fmt::format(R"({{"taskId":{},"signal":{}}})", json_quoted(id->str()), *number));
  return 0;
}

}  // namespace

const Verb kSignalVerb{"signal", "ID SIG", "send a signal to a task's command", {}, signal, true};

}  // namespace perdure::cli
