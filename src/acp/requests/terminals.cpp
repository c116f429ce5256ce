#include "acp/requests/terminals.h"

#include "acp/protocol/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace perdure::acp {
namespace {

constexpr std::int64_t kDefaultLimit = 1 << 20, kMostLimit = 16 << 20;
constexpr std::size_t kMostTerminals = 32;  // a manager keeps the output of as many foreground tasks

std::unexpected<jsonrpc::Fault> failed(const Error& error) {
  return std::unexpected(jsonrpc::Fault{.message = error.message});
}

json::object exit_status(const Task& task) {
  json::object status{{"exitCode", nullptr}, {"signal", nullptr}};
  if (task.process.exit_code) status["exitCode"] = *task.process.exit_code;
  const int number = task.process.signal.value_or(task.status == Status::killed && !task.process.exit_code ? 15 : 0);
  if (number > 0) {
    const char* const name = ::sigabbrev_np(number);
    status["signal"] = name == nullptr ? fmt::format("{}", number) : fmt::format("SIG{}", name);
  }
  return status;
}

std::expected<StartOptions, jsonrpc::Fault> read_command(const json::object& params) {
  StartOptions start;
  const std::string command = text_in(params, "command");
  if (command.empty()) return wrong("command: is missing");
  if (const auto* const args = params.if_contains("args"); args != nullptr && args->is_array())
    for (const auto& arg : args->get_array()) {
      if (!arg.is_string()) return wrong("args: contains a value that is not a string");
      start.argv.emplace_back(arg.get_string());
    }
  // Some agents send a whole shell line without arguments.
  if (start.argv.empty()) {
    start.shell_line = command;
  } else {
    start.argv.insert(start.argv.begin(), command);
  }
  if (const auto* const env = params.if_contains("env"); env != nullptr && env->is_array())
    for (const auto& variable : env->get_array())
      if (variable.is_object())
        start.env[text_in(variable.get_object(), "name")] = text_in(variable.get_object(), "value");
  start.cwd = text_in(params, "cwd");
  start.detached = false;
  return start;
}

}  // namespace

void Terminals::set_owner(std::string agent_id) {
  const std::lock_guard lock(mutex_);
  owner_ = std::move(agent_id);
}

Handler::Answer Terminals::create(const json::object& params) {
  auto start = read_command(params);
  if (!start) return std::unexpected(start.error());
  if (start->cwd.empty()) start->cwd = folder_;
  std::int64_t limit = kDefaultLimit;
  if (const auto* const given = params.if_contains("outputByteLimit"); given != nullptr && given->is_int64())
    limit = std::clamp<std::int64_t>(given->get_int64(), 0, kMostLimit);
  {
    const std::lock_guard lock(mutex_);
    if (terminals_.size() >= kMostTerminals)
      return wrong(fmt::format("{} terminals are open: release one", kMostTerminals));
    start->owner = owner_;
  }
  auto task = manager_.start(*start);
  if (!task) return failed(task.error());
  const std::lock_guard lock(mutex_);
  const std::string id = fmt::format("term_{}", ++last_);
  terminals_.emplace(id, Terminal{task->id, limit});
  return json::object{{"terminalId", id}};
}

std::expected<Terminals::Terminal, jsonrpc::Fault> Terminals::find(const json::object& params) const {
  const std::string id = text_in(params, "terminalId");
  const std::lock_guard lock(mutex_);
  const auto found = terminals_.find(id);
  if (found == terminals_.end()) return wrong(fmt::format("terminal '{}' is not there, or was released", id));
  return found->second;
}

// A foreground task leaves no record: only the manager that started it knows its end, by wait_for_release().
Result<Task> Terminals::await_end(const TaskId& task, std::optional<std::chrono::milliseconds> timeout, int cancel_fd) {
  auto released = manager_.wait_for_release(task, timeout, Cancellation::when_readable(cancel_fd));
  if (!released) return std::unexpected(released.error());
  const bool was_detached = released->how == Release::detached || released->how == Release::timeout_detached;
  if (!was_detached) return std::move(released->task);
  // A user made it a background task; the agent waits for it all the same.
  auto waited = manager_.wait({.ids = {task},
                               .timeout = timeout,
                               .cancel = Cancellation::when_readable(cancel_fd),
                               .part_of_longer_wait = true});
  if (!waited) return std::unexpected(waited.error());
  return waited->only();
}

Handler::Answer Terminals::output(const json::object& params) {
  auto terminal = find(params);
  if (!terminal) return std::unexpected(terminal.error());
  auto task = await_end(terminal->task, std::chrono::milliseconds(0));
  if (!task) return failed(task.error());
  auto snapshot = manager_.output_snapshot(terminal->task, terminal->limit);
  if (!snapshot) return failed(snapshot.error());
  json::object answer{{"output", snapshot->preview}, {"truncated", snapshot->truncated}};
  if (is_terminal(task->status)) answer["exitStatus"] = exit_status(*task);
  return answer;
}

Handler::Answer Terminals::wait_for_exit(const json::object& params, const jsonrpc::Call& call) {
  auto terminal = find(params);
  if (!terminal) return std::unexpected(terminal.error());
  auto task = await_end(terminal->task, std::nullopt, call.stop.fd());
  if (!task) return failed(task.error());
  if (!is_terminal(task->status))
    return std::unexpected(jsonrpc::Fault{.code = -32'800, .message = "the wait was cancelled"});
  return exit_status(*task);
}

void Terminals::stop(const TaskId& task) {
  const auto now = await_end(task, std::chrono::milliseconds(0));
  if (!now || is_terminal(now->status)) return;
  auto stopped = manager_.stop(task, {.reason = "Ended by the agent that started it", .suppress_notification = true});
  static_cast<void>(stopped);  // an error does not matter: the runner ends the task
}

Handler::Answer Terminals::kill(const json::object& params) {
  auto terminal = find(params);
  if (!terminal) return std::unexpected(terminal.error());
  stop(terminal->task);
  return json::object();
}

Handler::Answer Terminals::release(const json::object& params) {
  auto terminal = find(params);
  if (!terminal) return std::unexpected(terminal.error());
  stop(terminal->task);
  const std::lock_guard lock(mutex_);
  terminals_.erase(text_in(params, "terminalId"));
  return json::object();
}

void Terminals::release_all() {
  std::map<std::string, Terminal> all;
  {
    const std::lock_guard lock(mutex_);
    all.swap(terminals_);
  }
  for (const auto& [id, terminal] : all) stop(terminal.task);
}

}  // namespace perdure::acp
