#include "cli/start/task_options.h"

#include "base/error.h"
#include "cli/console/input.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/start/waiting.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <system_error>
#include <utility>

namespace perdure::cli {
namespace {

constexpr std::array<std::string_view, 2> kOnLimit = {"truncate", "stop"};
constexpr std::array<std::string_view, 3> kIfRunning = {"return", "refuse", "replace"};
constexpr std::array<std::string_view, 2> kLifetimes = {"detached", "session"};

Result<> read_queue(Call& call, StartOptions& start) {
  auto priority = call.integer("--priority", 0, 999);
  if (!priority) return std::unexpected(priority.error());
  start.queue = call.has("--queue");
  start.priority = static_cast<int>(priority->value_or(0));
  for (const auto& [option, ids] : {std::pair("--after", &start.after), std::pair("--after-any", &start.after_any)})
    for (const auto& text : call.values(option)) {
      auto id = call.resolve(text, Call::Use::looks);
      if (!id) return std::unexpected(id.error());
      ids->push_back(std::move(*id));
    }
  if (call.has("--priority") && !start.queue && start.after.empty() && start.after_any.empty())
    return fail(ErrorCode::usage, "--priority is for --queue, --after and --after-any");
  return {};
}

}  // namespace

Result<> read_task_options(Call& call, StartOptions& start) {
  auto env = pairs(call, "--env");
  auto labels = pairs(call, "--label");
  auto timeout = call.duration("--timeout");
  auto grace = call.duration("--grace");
  auto limit = call.size("--output-limit");
  auto on_limit = call.word("--on-output-limit", kOnLimit);
  auto lifetime = call.word("--lifetime", kLifetimes);
  for (const Error* error :
       {env ? nullptr : &env.error(), labels ? nullptr : &labels.error(), timeout ? nullptr : &timeout.error(),
        grace ? nullptr : &grace.error(), limit ? nullptr : &limit.error(), on_limit ? nullptr : &on_limit.error(),
        lifetime ? nullptr : &lifetime.error()})
    if (error != nullptr) return std::unexpected(*error);
  start.description = call.value("--description").value_or("");
  start.cwd = call.value("--cwd").value_or("");
  start.env = std::move(*env);
  start.labels = std::move(*labels);
  start.clear_env = call.has("--clear-env");
  start.timeout = timeout->value_or(start.timeout);
  start.grace = grace->value_or(start.grace);
  if (*limit) start.output_limit = *limit;
  if (*on_limit) start.on_output_limit = *on_limit == "stop" ? OnOutputLimit::stop : OnOutputLimit::truncate;
  start.session_lifetime = *lifetime == "session";
  start.owner = call.value("--owner");
  start.tool_call_id = call.value("--tool-call");
  start.on_end = call.values("--on-end");
  start.idempotency_key = call.value("--idempotency-key");
  start.name = call.value("--name");
  auto if_running = call.word("--if-running", kIfRunning);
  if (!if_running) return std::unexpected(if_running.error());
  if (*if_running && !start.name) return fail(ErrorCode::usage, "--if-running is for --name");
  if (*if_running == "refuse") start.if_running = IfRunning::refuse;
  if (*if_running == "replace") start.if_running = IfRunning::replace;
  return read_queue(call, start);
}

Result<> read_executor(const Call& call, StartOptions& start, const std::string& by_default) {
  start.on = call.value("--on").value_or(by_default);
  auto cpus = call.integer("--cpus", 1, 100'000);
  auto limit = call.duration("--time-limit");
  if (!cpus) return std::unexpected(cpus.error());
  if (!limit) return std::unexpected(limit.error());
  start.cpus = static_cast<int>(cpus->value_or(0));
  start.time_limit = limit->value_or(std::chrono::milliseconds(0));
  start.gpus = call.value("--gpus").value_or("");
  start.partition = call.value("--partition").value_or("");
  start.executor_options = call.values("--executor-option");
  if (start.on.empty())
    for (const auto* option : {"--cpus", "--gpus", "--partition", "--time-limit", "--executor-option"})
      if (call.has(option)) return fail(ErrorCode::usage, fmt::format("{} is for --on", option));
  return {};
}

Result<std::optional<double>> read_cpu_max(const Call& call) {
  const auto text = call.value("--cpu-max");
  if (!text) return std::nullopt;
  double number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size())
    return fail(ErrorCode::usage, fmt::format("--cpu-max: expected a number of processors such as 2 or 0.5, got '{}'",
                                              harmless_line(*text)));
  return number;
}

Result<int> wait_for_outcome(TaskManager& manager, const Task& task, bool json) {
  auto waited = wait_with_progress(manager, {.ids = {task.id}});
  if (!waited) return std::unexpected(waited.error());
  if (waited->interrupted) return kInterrupted;
  if (json) put_line(task_json(waited->result.only()));
  return exit_status_of(waited->result.only());
}

}  // namespace perdure::cli
