#include "base/error.h"
#include "base/fd.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "base/try.h"
#include "base/words.h"
#include "contract/control.h"
#include "contract/names.h"
#include "manager/actions/start_file.h"
#include "manager/far/act.h"
#include "manager/link/cancel_fd.h"
#include "manager/link/runner_client.h"
#include "manager/link/state.h"
#include "manager/status/assess.h"
#include "manager/status/orphans.h"
#include "trust/sha256.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>

// Requests to a running task: more time, a signal, and its command's input.
namespace perdure {
namespace {

using manager::RunnerClient;

std::unexpected<Error> not_running(const TaskId& id) {
  return fail(ErrorCode::task_not_running, fmt::format("{} is not running: see `perdure show {}`", id.str(), id.str()));
}

Error no_input(const TaskId& id) {
  return {.code = ErrorCode::usage,
          .message = fmt::format("{} has no input: start it with `--stdin pipe` or `--pty`", id.str())};
}

Error input_closed(const TaskId& id) {
  return {.code = ErrorCode::usage,
          .message = fmt::format("the input of {} was closed: nothing more can be written", id.str())};
}

// A connection to the runner of a task of ours that has not ended, as far as can be seen.
Result<RunnerClient> ask_runner(const store::Session& session, const Task& task, std::string_view request) {
  if (is_terminal(task.status)) return not_running(task.id);
  if (!manager::is_own_record(session, task))
    return fail(ErrorCode::task_not_running,
                fmt::format("{} is run by another program, which accepts no such requests", task.id.str()));
  TRY(auto client, RunnerClient::connect(session, task.id));
  if (!client || !client->send(request)) return not_running(task.id);
  return std::move(*client);
}

bool is_elsewhere(const Task& task) {
  return task.executor && !task.host.runner && !is_terminal(task.status);
}

struct Answer {
  std::string word;
  Fd descriptor;
};

Result<Answer> ask_for_input(const store::Session& session, const Task& task) {
  TRY(auto client, ask_runner(session, task, contract::kInput));
  auto message = client.receive_message();
  if (!message && client.is_silent()) return manager::unresponsive(task.id);
  if (!message) return not_running(task.id);
  Answer answer{.word = std::move(message->line), .descriptor = {}};
  if (!message->files.empty()) answer.descriptor = std::move(message->files.front());
  if (answer.descriptor) return answer;
  if (answer.word == contract::kNull) return std::unexpected(no_input(task.id));
  if (answer.word == contract::kClosed) return std::unexpected(input_closed(task.id));
  return not_running(task.id);
}

std::string lock_path(const store::Session& session, const TaskId& id) {
  return session.folder_path(id) + "/" + contract::kInputLock;
}

std::unexpected<Error> held(const TaskId& id, std::int64_t holder) {
  auto error = fail(ErrorCode::task_input_held,
                    fmt::format("process {} types into {}: try again once it has left", holder, id.str()));
  error.error().details["holder"] = fmt::to_string(holder);
  return error;
}

char end_of_input_character(const Fd& terminal) {
  termios settings{};
  constexpr char kCtrlD = 4;
  return ::tcgetattr(terminal.get(), &settings) == 0 ? static_cast<char>(settings.c_cc[VEOF]) : kCtrlD;
}

Result<> type_end_of_input(const Fd& terminal, const TaskId& id) {
  const char end = end_of_input_character(terminal);
  while (::write(terminal.get(), &end, 1) < 0) {
    pollfd room{.fd = terminal.get(), .events = POLLOUT, .revents = 0};
    if (errno == EAGAIN && ::poll(&room, 1, -1) < 0 && errno != EINTR) return fail_errno("writing to", id.str());
    if (errno != EAGAIN && errno != EINTR) return not_running(id);
  }
  return {};
}

// One write, by the names that the runner knows it by (contract/control.h).
struct Typing {
  std::string id, sum;
  std::size_t written = 0;
};

// What an answer to `type` other than "typed" means.
Error refusal_of_typing(const TaskId& id, std::string_view word, const Typing& typing) {
  Error error = word == contract::kNull     ? no_input(id)
                : word == contract::kClosed ? input_closed(id)
                                            : not_running(id).error();
  constexpr std::string_view kError = "error ";
  const int os_error = word.starts_with(kError) ? std::atoi(std::string(word.substr(kError.size())).c_str()) : 0;
  if (word == contract::kDiffers)
    error = {.code = ErrorCode::usage, .message = "writeId: was used before, with other data"};
  else if (word == contract::kForgotten)
    error = {.code = ErrorCode::usage, .message = "writeId: is not known any more: too many writes came between"};
  else if (os_error == ENOSYS)
    error = {.code = ErrorCode::usage,
             .message = fmt::format("writeId: the runner of {} is of an older version, which knows none", id.str())};
  else if (os_error == EPIPE)
    error.message = fmt::format("the command of {} reads no more: it has ended, or has closed its input", id.str());
  else if (os_error != 0)
    error = fail_os(os_error, "writing to", id.str()).error();
  error.details["written"] = fmt::to_string(typing.written);
  return error;
}

std::string hex_of(std::string_view bytes) {
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const char c : bytes) fmt::format_to(std::back_inserter(hex), "{:02x}", static_cast<unsigned char>(c));
  return hex;
}

// Until all is typed or it is cancelled; typing.written tells which.
Result<> type_all(RunnerClient& client, const Fd& input, const TaskId& id, std::string_view data, Typing& typing,
                  const Cancellation& cancel) {
  manager::CancelFd cancelled;
  TRY_VOID(cancelled.begin(cancel));
  while (typing.written < data.size()) {
    const auto part = data.substr(typing.written, contract::kMaxTyped);
    if (!client.send(
            fmt::format("{} {} {} {} {}", contract::kType, typing.id, typing.sum, typing.written, hex_of(part))))
      return not_running(id);
    const auto answer = client.receive();
    if (!answer) return client.is_silent() ? Result<>(manager::unresponsive(id)) : not_running(id);
    const std::string_view word = *answer;
    const std::string begin = fmt::format("{} ", contract::kTyped);
    const auto typed = word.starts_with(begin)
                           ? parse_integer(word.substr(begin.size()), 0, static_cast<std::int64_t>(data.size()))
                           : fail(ErrorCode::usage, "");
    if (!typed) return std::unexpected(refusal_of_typing(id, word, typing));
    const bool is_full = static_cast<std::size_t>(*typed) <= typing.written;
    typing.written = std::max(typing.written, static_cast<std::size_t>(*typed));
    if (!is_full && cancelled.get() < 0) continue;
    pollfd look[] = {{.fd = is_full ? input.get() : -1, .events = POLLOUT, .revents = 0},
                     {.fd = cancelled.get(), .events = POLLIN, .revents = 0}};
    if (::poll(look, 2, is_full ? -1 : 0) < 0 && errno != EINTR) return fail_errno("writing to", id.str());
    if (look[1].revents != 0) return {};
  }
  return {};
}

}  // namespace

Result<Task> TaskManager::extend(const TaskId& id, std::chrono::milliseconds timeout) {
  TRY_VOID(state_->check_may_act());
  if (timeout.count() < 0) return fail(ErrorCode::usage, "the timeout is negative: 0 means none");
  auto task = get(id);
  if (!task) return task;
  if (is_elsewhere(*task))
    return manager::extend_far({state_->session, *state_->telemetry, *state_->far}, *task, timeout);
  TRY(auto client, ask_runner(state_->session, *task, fmt::format("{} {}", contract::kExtend, timeout.count())));
  const auto answer = client.receive();
  if (client.is_silent()) return manager::unresponsive(id);
  if (!answer || *answer == contract::kNo) return not_running(id);
  if (*answer == contract::kOk) return get(id);
  const std::string_view word = *answer;
  const int os_error = word.starts_with("error ") ? std::atoi(answer->c_str() + 6) : 0;
  return fail_os(os_error, "writing the new deadline of", id.str());
}

Result<Descriptor> TaskManager::open_input(const TaskId& id) {
  TRY_VOID(state_->check_may_act());
  TRY(auto task, get(id));
  if (is_elsewhere(task)) {
    TRY(auto input, manager::open_input_far({state_->session, *state_->telemetry, *state_->far}, task));
    return Descriptor(input);
  }
  if (const auto holder = input_holder(id)) return held(id, *holder);
  TRY(auto answer, ask_for_input(state_->session, task));
  return Descriptor(answer.descriptor.release());
}

Result<std::int64_t> TaskManager::write_once(const TaskId& id, std::string_view bytes, std::string_view write_id,
                                             bool end, const Cancellation& cancel) {
  TRY_VOID(state_->check_may_act());
  constexpr std::size_t kLongestId = 256;
  if (write_id.empty() || write_id.size() > kLongestId)
    return fail(ErrorCode::usage, fmt::format("writeId: expected 1 to {} bytes, got {}", kLongestId, write_id.size()));
  TRY(auto task, get(id));
  if (is_elsewhere(task))
    return fail(ErrorCode::usage,
                fmt::format("writeId: {} runs elsewhere, where repeated writes are not told apart", id.str()));
  if (const auto holder = input_holder(id)) return held(id, *holder);
  TRY(auto client, ask_runner(state_->session, task, contract::kInput));
  auto message = client.receive_message();
  if (!message) return client.is_silent() ? Result<std::int64_t>(manager::unresponsive(id)) : not_running(id);
  Fd input;
  if (!message->files.empty()) input = std::move(message->files.front());
  std::string data(bytes);
  if (end && message->line == contract::kTerminal) data += end_of_input_character(input);
  Typing typing{.id = trust::in_hex(trust::sha256(write_id)).substr(0, contract::kWriteIdDigits),
                .sum = trust::in_hex(trust::sha256(data)).substr(0, contract::kWriteSumDigits)};
  TRY_VOID(type_all(client, input, id, data, typing, cancel));
  if (typing.written < data.size() || !end || message->line == contract::kTerminal)
    return static_cast<std::int64_t>(std::min(typing.written, bytes.size()));
  input.reset();  // else it would keep the end from being read
  if (!client.send(contract::kCloseInput) || !client.receive())
    return client.is_silent() ? Result<std::int64_t>(manager::unresponsive(id)) : not_running(id);
  return static_cast<std::int64_t>(bytes.size());
}

Result<TaskManager::HeldInput> TaskManager::hold_input(const TaskId& id) {
  TRY_VOID(state_->check_may_act());
  TRY(auto task, get(id));
  // Before the lock file is made: for a task without an input none must be left.
  TRY(auto answer, ask_for_input(state_->session, task));
  const std::string path = lock_path(state_->session, id);
  TRY(auto lock, open_at(AT_FDCWD, path, O_RDWR | O_CREAT, path));
  TRY(auto taken, try_lock(lock.get(), path));
  if (!taken) return held(id, input_holder(id).value_or(0));
  if (::ftruncate(lock.get(), 0) != 0) return fail_errno("writing", path);
  TRY_VOID(write_all(lock.get(), fmt::format("{}\n", ::getpid()), path));
  return HeldInput{.input = Descriptor(answer.descriptor.release()),
                   .lock = Descriptor(lock.release()),
                   .is_terminal = answer.word == contract::kTerminal};
}

std::optional<TerminalSize> TaskManager::terminal_size(const TaskId& id) const {
  const auto task = get(id);
  if (!task || is_elsewhere(*task)) return std::nullopt;
  if (!is_terminal(task->status) && state_->check_may_act()) {
    const auto answer = ask_for_input(state_->session, *task);
    winsize size{};
    if (answer && answer->word == contract::kTerminal && ::ioctl(answer->descriptor.get(), TIOCGWINSZ, &size) == 0 &&
        size.ws_row > 0 && size.ws_col > 0)
      return TerminalSize{.rows = size.ws_row, .columns = size.ws_col};
  }
  const auto start = manager::read_start(state_->session, id);
  return start ? start->terminal : std::nullopt;
}

std::optional<std::int64_t> TaskManager::input_holder(const TaskId& id) const {
  const std::string path = lock_path(state_->session, id);
  auto lock = open_at(AT_FDCWD, path, O_RDONLY, path);
  if (!lock || !is_locked_by_another(lock->get(), path).value_or(false)) return std::nullopt;
  char text[24] = {};
  if (::pread(lock->get(), text, sizeof text - 1, 0) < 0) return 0;
  return std::atoll(text);
}

Result<TaskManager::Processes> TaskManager::processes(const TaskId& id) const {
  TRY(auto task, get(id));
  const manager::Remains remains = manager::find_remains(state_->session, task);
  Processes found{.pids = {}, .unread = remains.unread};
  for (const auto& process : remains.processes) found.pids.push_back(process.pid);
  return found;
}

Result<void> TaskManager::close_input(const TaskId& id) {
  TRY_VOID(state_->check_may_act());
  TRY(auto task, get(id));
  if (is_elsewhere(task)) return manager::close_input_far({state_->session, *state_->telemetry, *state_->far}, task);
  TRY(auto answer, ask_for_input(state_->session, task));
  if (answer.word == contract::kTerminal) return type_end_of_input(answer.descriptor, id);
  TRY(auto client, ask_runner(state_->session, task, contract::kCloseInput));
  if (!client.receive()) return client.is_silent() ? Result<>(manager::unresponsive(id)) : not_running(id);
  return {};
}

}  // namespace perdure
