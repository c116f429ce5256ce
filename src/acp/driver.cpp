#include "acp/driver.h"

#include "acp/turn.h"
#include "base/error.h"
#include "base/files.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <fmt/format.h>

#include <thread>

namespace perdure::acp {
namespace {

constexpr int kAgainMs = 500;
constexpr int kOrphanedMs = 3'000;  // for the agent to end its turn after the task's runner has exited

// Cancels the turn at SIGTERM, and when the runner has exited.
class Watch {
 public:
  Watch(Turn& turn, Connection& connection, int signals, int runner)
      : thread_([this, &turn, &connection, signals, runner] { watch(turn, connection, signals, runner); }) {}
  ~Watch() {
    over_.raise();
    thread_.join();
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  void watch(Turn& turn, Connection& connection, int signals, int runner) {
    pollfd look[] = {{.fd = over_.fd(), .events = POLLIN, .revents = 0},
                     {.fd = signals, .events = POLLIN, .revents = 0},
                     {.fd = runner, .events = POLLRDHUP, .revents = 0}};
    int patience_ms = -1;
    while (!over_.is_raised()) {
      const int n = ::poll(look, 3, patience_ms);
      if (n < 0 && errno != EINTR) return;
      if (n == 0) turn.cancel_again();
      patience_ms = -1;
      if (look[1].revents != 0 || look[2].revents != 0) turn.cancel();
      if (look[1].revents != 0) {
        look[1].fd = -1;
        patience_ms = kAgainMs;
      }
      if (look[2].revents == 0) continue;
      ::poll(look, 1, kOrphanedMs);
      return connection.give_up();
    }
  }

  jsonrpc::Signal over_;
  std::thread thread_;
};

Fd block_signals() {
  sigset_t mine;
  ::sigemptyset(&mine);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&mine, number);
  ::pthread_sigmask(SIG_BLOCK, &mine, nullptr);
  return Fd(::signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK));
}

std::string_view name_of(TurnEnd::How how) {
  switch (how) {
    case TurnEnd::How::completed: return "completed";
    case TurnEnd::How::failed:
    case TurnEnd::How::broke: return "failed";
    case TurnEnd::How::cancelled: return "cancelled";
  }
  return "";
}

// False: another cause has decided the outcome, so the turn's result does not count (L09).
bool tell(manager::AgentSide& side, codec::AgentNote note, const TurnEnd& end) {
  if (end.how == TurnEnd::How::cancelled) return false;
  if (!end.failure.code.empty()) note.stop_code = end.failure.code;
  // If the note fails, it is missing in the record; the turn's outcome counts all the same.
  [[maybe_unused]] const auto noted = side.note(note);
  auto told = end.how == TurnEnd::How::completed ? side.completed()
              : end.how == TurnEnd::How::broke   ? side.broke(end.failure.reason)
                                                 : side.failed(end.failure.reason);
  return told && *told;
}

int fail_at_once(manager::AgentSide& side, const std::string& reason) {
  [[maybe_unused]] const auto told = side.broke(reason);
  return 1;
}

}  // namespace

int drive(TaskManager& manager, manager::AgentSide& side) {
  const Fd signals = block_signals();
  auto file = side.open_activity();
  if (!file) return fail_at_once(side, file.error().message);
  Activity activity(std::move(*file));
  auto process = AgentProcess::spawn(side.plan().command, {}, side.plan().cwd);
  if (!process) return fail_at_once(side, process.error().message);
  Turn turn(manager, side, activity);
  Connection connection(process->input(), process->output(), process->errors(), turn);
  TurnEnd end;
  bool told = false;
  {
    const Watch watch(turn, connection, signals.get(), side.runner_fd());
    end = turn.run(connection, *process);
    json::object entry{{"outcome", name_of(end.how)}};
    if (!end.failure.reason.empty()) entry["reason"] = end.failure.reason;
    told = tell(side, turn.note(), end);
    entry["counts"] = told;
    activity.add("end", std::move(entry));
    if (const std::string message = turn.final_message(); told && !message.empty())
      if (auto written = write_all(STDOUT_FILENO, message, "the final message"); !written)
        activity.add("stderr", {{"text", written.error().message}});
    turn.close();
  }
  static_cast<void>(process->end());
  return told && end.how == TurnEnd::How::completed ? 0 : 1;
}

}  // namespace perdure::acp
