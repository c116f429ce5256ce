#pragma once

#include "cli/console/call.h"

#include <algorithm>
#include <array>

namespace perdure::cli {

/// The options that read_task_options() reads; they mean the same for every kind of task.
inline constexpr std::array kTaskOptions = std::to_array<Option>({
    {"--description", "TEXT", "what it is for, as list shows it"},
    {"--env", "K=V", "set a variable of its environment", true},
    {"--clear-env", nullptr, "start from an empty environment"},
    {"--grace", "D", "between SIGTERM and SIGKILL (else as configured)"},
    {"--on-output-limit", "truncate|stop", "drop output from the middle, or stop the command"},
    {"--lifetime", "detached|session", "session: ends with the session's close (default: detached)"},
    {"--owner", "O", "who is notified of its end"},
    {"--tool-call", "ID", "the tool call it belongs to"},
    {"--label", "K=V", "a label of your own", true},
    {"--name", "N", "a name that one live task at most has; every ID can be a name"},
    {"--if-running", "return|refuse|replace", "with --name, where one is live (default: return it)"},
    {"--idempotency-key", "K", "start it once: the same key gives the same task"},
    {"--queue", nullptr, "over the cap: wait for a slot, instead of a refusal"},
    {"--priority", "N", "place in the queue: 0 to 999, the higher the sooner (default: 0)"},
    {"--after", "ID", "start when that task has completed; if it does not complete, never", true, false, "__ids"},
    {"--after-any", "ID", "start when that task has ended, however", true, false, "__ids"},
    {"--on-end", "CMD", "a shell command that runs when it ends; see docs/guide/hooks.md", true},
});

/// The verb's own options, followed by those of every task.
template <std::size_t N>
[[nodiscard]] constexpr std::array<Option, N + kTaskOptions.size()> with_task_options(
    const std::array<Option, N>& own) {
  std::array<Option, N + kTaskOptions.size()> all{};
  std::ranges::copy(kTaskOptions, std::ranges::copy(own, all.begin()).out);
  return all;
}

/// Reads the options of every kind of task: --description --cwd --env --clear-env --timeout --grace --output-limit
/// --on-output-limit --lifetime --owner --tool-call --label --on-end --idempotency-key --queue --priority --after.
/// Options that are not given leave `start` unchanged. Errors: usage.
[[nodiscard]] Result<> read_task_options(Call& call, StartOptions& start);

/// What is said of a task that runs elsewhere: --on --cpus --gpus --partition --time-limit --executor-option. `by_default`:
/// the executor where there is no --on.
[[nodiscard]] Result<> read_executor(const Call& call, StartOptions& start, const std::string& by_default);

/// The number of processors of --cpu-max; absent: not given. Errors: usage.
[[nodiscard]] Result<std::optional<double>> read_cpu_max(const Call& call);

/// With --wait: waits for the task and prints its record, if that is wanted; the exit status that stands for its outcome.
[[nodiscard]] Result<int> wait_for_outcome(TaskManager& manager, const Task& task, bool json);

}  // namespace perdure::cli
