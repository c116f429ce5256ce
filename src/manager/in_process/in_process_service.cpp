#include "manager/in_process/in_process_service.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/process.h"
#include "base/try.h"
#include "contract/control.h"
#include "contract/names.h"
#include "manager/link/state.h"
#include "manager/link/task_ids.h"
#include "manager/status/find.h"
#include "store/records.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

namespace perdure {
namespace manager {
namespace {

constexpr std::int64_t kNoDescriptorMs = 1'000;

std::string_view take_word(std::string_view& line) {
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(line.size(), word.size() + 1));
  return word;
}

std::optional<std::int64_t> take_number(std::string_view& line) {
  const std::string_view word = take_word(line);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

// Escaped for a JSON string, and cut to what fits into the lock page.
bool is_escaped(std::string_view text) {
  return text.size() <= static_cast<std::size_t>(contract::kMaxReasonBytes) &&
         std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7F && c != '"'; });
}

// One connection to the control socket of one task.
class Client {
 public:
  Client(Fd socket, std::shared_ptr<InProcessRun> run) : run_(std::move(run)), socket_(std::move(socket)) {}

  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] const std::shared_ptr<InProcessRun>& run() const { return run_; }
  [[nodiscard]] const std::string& inside() const { return inside_; }
  [[nodiscard]] bool waits_for_release() const { return waits_for_release_; }

  void say(std::string_view line) const {
    const std::string text = fmt::format("{}\n", line);
    static_cast<void>(::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
  }
  void tell_end() const {
    if (waits_ || waits_for_release_) say(contract::kEnded);
  }
  void tell_detached() {
    if (std::exchange(waits_for_release_, false)) say(contract::kDetached);
  }

  // Reads the next complete lines. False: the other end was closed.
  bool read(std::vector<std::string>& lines) {
    char part[4096];
    while (true) {
      const ssize_t n = ::recv(socket_.get(), part, sizeof part, MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno == EAGAIN;
      if (n == 0) return false;
      pending_.append(part, static_cast<std::size_t>(n));
      for (std::size_t end = 0; (end = pending_.find('\n')) != std::string::npos; pending_.erase(0, end + 1))
        lines.push_back(pending_.substr(0, end));
      if (pending_.size() > static_cast<std::size_t>(contract::kMaxLine)) return false;
    }
  }

  void await_end(std::string_view inside) {
    waits_ = true;
    inside_ = inside;
  }
  void await_release() { waits_for_release_ = true; }

 private:
  std::shared_ptr<InProcessRun> run_;
  Fd socket_;
  std::string pending_, inside_;
  bool waits_ = false, waits_for_release_ = false;
};

// What the service thread owns besides the tasks.
class Desk {
 public:
  // Waits for a task's time, a client or the waker, and handles it.
  void once(const std::vector<std::shared_ptr<InProcessRun>>& runs, const Waker& waker) {
    std::vector<pollfd> fds = {{.fd = waker.fd(), .events = POLLIN, .revents = 0}};
    std::int64_t due = listen_again_at_;
    for (const auto& run : runs) {
      fds.push_back({.fd = listen_again_at_ < 0 ? run->listener() : -1, .events = POLLIN, .revents = 0});
      if (const std::int64_t at = run->next_due(); at >= 0) due = due < 0 ? at : std::min(due, at);
    }
    for (const auto& client : clients_) fds.push_back({.fd = client.fd(), .events = POLLIN, .revents = 0});
    const std::int64_t sleep = due < 0 ? -1 : std::clamp<std::int64_t>(due - steady_ms(), 0, INT32_MAX);
    const int n = ::poll(fds.data(), fds.size(), static_cast<int>(sleep));
    if (listen_again_at_ >= 0 && listen_again_at_ <= steady_ms()) listen_again_at_ = -1;
    waker.drain();
    for (const auto& run : runs) run->on_time();
    if (n <= 0) return;
    // They keep their places until all are served: a request of one may be an event for another.
    std::vector<int> gone;
    for (std::size_t i = 0; i < clients_.size(); ++i)
      if (fds[1 + runs.size() + i].revents != 0 && !serve(clients_[i])) gone.push_back(clients_[i].fd());
    std::erase_if(clients_, [&](const Client& client) { return std::ranges::find(gone, client.fd()) != gone.end(); });
    for (std::size_t i = 0; i < runs.size(); ++i)
      if (fds[1 + i].revents != 0) accept(runs[i]);
  }

  void say_goodbye(const InProcessRun& run) {
    for (const auto& client : clients_)
      if (client.run().get() == &run) client.tell_end();
    std::erase_if(clients_, [&](const Client& client) { return client.run().get() == &run; });
  }

 private:
  void accept(const std::shared_ptr<InProcessRun>& run) {
    while (true) {
      Fd socket(::accept4(run->listener(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!socket && (errno == EINTR || errno == ECONNABORTED)) continue;
      if (!socket) {
        // No descriptor is available: the listener stays readable, and no event reports when there is one again.
        if (errno != EAGAIN) listen_again_at_ = steady_ms() + kNoDescriptorMs;
        return;
      }
      ucred peer{};
      socklen_t length = sizeof peer;
      if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || peer.uid != ::geteuid()) continue;
      clients_.emplace_back(std::move(socket), run);
    }
  }

  bool serve(Client& client) {
    std::vector<std::string> lines;
    const bool stays = client.read(lines);
    for (const auto& line : lines) answer(client, line);
    return stays;
  }

  void answer(Client& client, std::string_view line) {
    InProcessRun& run = *client.run();
    const std::string_view word = take_word(line);
    if (word == contract::kWait) return client.await_end(TaskId::parse(line) ? line : std::string_view());
    if (word == contract::kWaiters) return client.say(waiters_of(run));
    if (word == contract::kStarted) return client.say(contract::kStarted);
    if (word == contract::kRelease) return run.is_detached() ? client.say(contract::kDetached) : client.await_release();
    if (word == contract::kDetach) return detach(client, take_number(line).value_or(-1));
    if (word == contract::kStop || word == contract::kStopQuietly) {
      const auto grace = take_number(line);
      if (!grace || !is_escaped(line)) return client.say("error 22");
      client.say(contract::kOk);
      return run.stop(word, line, *grace < 0 ? std::nullopt : grace);
    }
    if (word == contract::kStopOwned) {
      const auto grace = take_number(line);
      if (line.empty() || line != run.owner()) return client.say(contract::kNo);
      client.say(contract::kOk);
      return run.stop(contract::kStop, "The task that owns it has ended", grace);
    }
    if (word == contract::kLook || word == contract::kEndLeftovers) return client.say(contract::kNo);
    if (word == contract::kSignal) return client.say("error 3");
    if (word == contract::kOutput) return client.say(fmt::format("{} {}", contract::kOutput, run.output_counts()));
    client.say("error 38");
  }

  void detach(Client& client, std::int64_t timeout_ms) {
    auto detached = client.run()->detach(timeout_ms < 0 ? std::nullopt : std::optional(timeout_ms));
    if (!detached) return client.say(fmt::format("{} {}", contract::kError, detached.error().os_error));
    client.say(*detached ? contract::kOk : contract::kNo);
    if (!*detached) return;
    for (auto& other : clients_)
      if (other.run() == client.run()) other.tell_detached();
  }

  [[nodiscard]] std::string waiters_of(const InProcessRun& run) const {
    std::string ids = contract::kWaiters;
    for (const auto& client : clients_)
      if (client.run().get() == &run && !client.inside().empty()) ids += " " + client.inside();
    return ids;
  }

  std::vector<Client> clients_;
  std::int64_t listen_again_at_ = -1;
};

}  // namespace

std::shared_ptr<const Waker> InProcessService::waker() {
  const std::scoped_lock guard(mutex_);
  if (!waker_) {
    process_ = ::getpid();
    waker_ = std::make_shared<Waker>();
  }
  return waker_;
}

InProcessService::~InProcessService() {
  if (!waker_) return;           // there never was a task
  if (::getpid() != process_) {  // a forked child's copy: neither the tasks nor the thread are its own
    if (thread_.joinable()) thread_.detach();
    return;
  }
  std::vector<std::shared_ptr<InProcessRun>> runs;
  {
    const std::scoped_lock guard(mutex_);
    runs = runs_;
  }
  for (const auto& run : runs) run->end_now("The program let go of the session");
  {
    const std::scoped_lock guard(mutex_);
    unserved_ = std::move(runs_);  // tasks that could not be committed: their notes are in their lock files
    runs_.clear();
  }
  waker_->wake();
  if (thread_.joinable()) thread_.join();
}

void InProcessService::add(std::shared_ptr<InProcessRun> run) {
  {
    const std::scoped_lock guard(mutex_);
    runs_.push_back(std::move(run));
    if (!serves_) {
      if (thread_.joinable()) thread_.join();  // it has finished already
      thread_ = std::thread([this] { serve(); });
      serves_ = true;
    }
  }
  waker_->wake();
}

void InProcessService::serve() {
  Desk desk;
  std::vector<std::shared_ptr<InProcessRun>> runs;
  while (true) {
    std::vector<std::shared_ptr<InProcessRun>> left;
    {
      const std::scoped_lock guard(mutex_);
      const auto gone = std::ranges::stable_partition(runs_, [](const auto& run) { return !run->has_ended(); });
      left.assign(gone.begin(), gone.end());
      runs_.erase(gone.begin(), gone.end());
      runs = runs_;
      serves_ = !runs.empty();
      if (!serves_) left.insert(left.end(), unserved_.begin(), unserved_.end());
    }
    // Clients that were not accepted see the end as a hang-up.
    for (const auto& run : left) {
      if (run->has_ended()) desk.say_goodbye(*run);
      run->close_listener();
      run->let_go_of_user();
    }
    if (runs.empty()) return;
    desk.once(runs, *waker_);
  }
}

}  // namespace manager

Result<Task> TaskManager::start(const std::shared_ptr<InProcessTask>& task, const InProcessOptions& options) {
  TRY_VOID(state_->check_may_act());
  if (!task) return fail(ErrorCode::usage, "there is no task to start");
  if (options.kind != Kind::process && options.kind != Kind::agent)
    return fail(ErrorCode::usage, "an in-process task is of kind process or agent");
  if (options.description.empty()) return fail(ErrorCode::usage, "an in-process task needs a description");
  if (options.timeout.count() < 0) return fail(ErrorCode::usage, "the timeout is negative: 0 means none");
  if (options.grace.count() < 0) return fail(ErrorCode::usage, "the grace is negative: 0 means none");
  const auto& session = state_->session;
  TRY_VOID(session.create());
  TRY(auto id, manager::claim_id(session, options.kind == Kind::agent ? "agent-" : "bash-"));

  Task record{.id = id, .kind = options.kind, .kind_name = std::string(name_of(options.kind))};
  record.description = options.description;
  record.process.command = options.description;
  record.detached = options.detached;
  record.owner = options.owner;
  record.labels = options.labels;
  record.origin.parent_tool_call_id = options.tool_call_id;
  if (options.session_lifetime) record.origin.lifetime = "session";
  if (options.timeout.count() > 0) record.limits.timeout_ms = options.timeout.count();
  if (options.kind == Kind::agent) record.agent.id = options.agent_id;
  if (options.kind == Kind::agent) record.agent.type = options.subagent_type;
  record.host.in_process = true;
  const auto self = look_at_process(::getpid());
  record.host.runner = ProcessIdentity{::getpid(), self ? self->start_ticks : 0};
  if (!boot_id().empty()) record.host.boot_id = boot_id();
  if (!machine_id().empty()) record.host.machine_id = machine_id();
  record.found.source = session.record_path(id);

  auto run = std::make_shared<manager::InProcessRun>(session, state_->telemetry, state_->in_process->waker(), task,
                                                     record, options.grace);
  if (auto done = run->register_task(); !done) {
    ::rmdir(session.folder_path(id).c_str());
    return std::unexpected(done.error());
  }
  state_->telemetry->started_alone(record);
  TaskSink sink(run);
  try {
    state_->in_process->add(run);
    task->start(sink);
  } catch (const std::exception& error) {
    static_cast<void>(sink.settle({.succeeded = false, .exit_code = {}, .reason = error.what(), .stop_code = {}}));
  } catch (...) {
    static_cast<void>(sink.settle({.succeeded = false, .exit_code = {}, .reason = "It threw", .stop_code = {}}));
  }
  return get(id);
}

}  // namespace perdure
