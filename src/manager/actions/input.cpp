#include "base/error.h"
#include "base/fd.h"
#include "contract/control.h"
#include "manager/far/act.h"
#include "manager/link/runner_client.h"
#include "manager/link/state.h"
#include "manager/status/assess.h"

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>

// What is asked of a task that runs: more time, and its command's input.
namespace perdure {
namespace {

using manager::RunnerClient;

std::unexpected<Error> not_running(const TaskId& id) {
  return fail(ErrorCode::task_not_running, fmt::format("{} is not running: see `perdure show {}`", id.str(), id.str()));
}

// A connection to the runner of a task of ours that has not ended, as far as can be seen.
Result<RunnerClient> ask_runner(const store::Session& session, const Task& task, std::string_view request) {
  if (is_terminal(task.status)) return not_running(task.id);
  if (!manager::is_own_record(session, task))
    return fail(ErrorCode::task_not_running,
                fmt::format("{} is run by another program, which takes no such wishes", task.id.str()));
  auto client = RunnerClient::connect(session, task.id);
  if (!client) return std::unexpected(client.error());
  if (!*client || !(*client)->send(request)) return not_running(task.id);
  return std::move(**client);
}

bool is_elsewhere(const Task& task) {
  return task.executor && !task.runner && !is_terminal(task.status);
}

struct Answer {
  std::string word;
  Fd descriptor;
};

Result<Answer> ask_for_input(const store::Session& session, const Task& task) {
  auto client = ask_runner(session, task, contract::kInput);
  if (!client) return std::unexpected(client.error());
  auto message = client->receive_message();
  if (!message && client->is_silent()) return manager::unresponsive(task.id);
  if (!message) return not_running(task.id);
  Answer answer{.word = std::move(message->line), .descriptor = {}};
  if (!message->files.empty()) answer.descriptor = std::move(message->files.front());
  if (answer.descriptor) return answer;
  if (answer.word == contract::kNull)
    return fail(ErrorCode::usage,
                fmt::format("{} has no input: start it with `--stdin pipe` or `--pty`", task.id.str()));
  if (answer.word == contract::kClosed)
    return fail(ErrorCode::usage,
                fmt::format("the input of {} was closed: nothing more can be written", task.id.str()));
  return not_running(task.id);
}

Result<> type_end_of_input(const Fd& terminal, const TaskId& id) {
  termios settings{};
  char end = 4;
  if (::tcgetattr(terminal.get(), &settings) == 0) end = static_cast<char>(settings.c_cc[VEOF]);
  while (::write(terminal.get(), &end, 1) < 0) {
    pollfd room{.fd = terminal.get(), .events = POLLOUT, .revents = 0};
    if (errno == EAGAIN && ::poll(&room, 1, -1) < 0 && errno != EINTR) return fail_errno("writing to", id.str());
    if (errno != EAGAIN && errno != EINTR) return not_running(id);
  }
  return {};
}

}  // namespace

Result<Task> TaskManager::extend(const TaskId& id, std::chrono::milliseconds timeout) {
  if (auto fine = state_->check_may_act(); !fine) return std::unexpected(fine.error());
  if (timeout.count() < 0) return fail(ErrorCode::usage, "the timeout is negative: 0 means none");
  auto task = get(id);
  if (!task) return task;
  if (is_elsewhere(*task))
    return manager::extend_far({state_->session, *state_->telemetry, *state_->far}, *task, timeout);
  auto client = ask_runner(state_->session, *task, fmt::format("{} {}", contract::kExtend, timeout.count()));
  if (!client) return std::unexpected(client.error());
  const auto answer = client->receive();
  if (client->is_silent()) return manager::unresponsive(id);
  if (!answer || *answer == contract::kNo) return not_running(id);
  if (*answer == contract::kOk) return get(id);
  const std::string_view word = *answer;
  const int os_error = word.starts_with("error ") ? std::atoi(answer->c_str() + 6) : 0;
  return fail_os(os_error, "writing the new deadline of", id.str());
}

Result<int> TaskManager::open_input(const TaskId& id) {
  if (auto fine = state_->check_may_act(); !fine) return std::unexpected(fine.error());
  auto task = get(id);
  if (!task) return std::unexpected(task.error());
  if (is_elsewhere(*task)) return manager::open_input_far({state_->session, *state_->telemetry, *state_->far}, *task);
  auto answer = ask_for_input(state_->session, *task);
  if (!answer) return std::unexpected(answer.error());
  return answer->descriptor.release();
}

Result<void> TaskManager::close_input(const TaskId& id) {
  if (auto fine = state_->check_may_act(); !fine) return std::unexpected(fine.error());
  auto task = get(id);
  if (!task) return std::unexpected(task.error());
  if (is_elsewhere(*task)) return manager::close_input_far({state_->session, *state_->telemetry, *state_->far}, *task);
  auto answer = ask_for_input(state_->session, *task);
  if (!answer) return std::unexpected(answer.error());
  if (answer->word == contract::kTerminal) return type_end_of_input(answer->descriptor, id);
  auto client = ask_runner(state_->session, *task, contract::kCloseInput);
  if (!client) return std::unexpected(client.error());
  if (!client->receive()) return client->is_silent() ? Result<>(manager::unresponsive(id)) : not_running(id);
  return {};
}

}  // namespace perdure
