#include "runner/question.h"

#include "contract/control.h"
#include "contract/lock_page.h"
#include "contract/names.h"
#include "runner/record/outbox.h"
#include "runner/record/telemetry.h"

namespace runner {

using namespace perdure::contract;

namespace {

constexpr long kRetryMs = 1'000;  // between attempts to write while the disk refuses
constexpr char kDefaultFile[] = "answer.default";

std::string_view status_of(std::string_view outcome) {
  return outcome == "expired" ? "timed_out" : outcome == "withdrawn" ? "killed" : "completed";
}

int write_whole(int folder, const char* name, std::string_view text) {
  Fd file(sys::open_at(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW));
  if (!file) return file.get();
  for (unsigned long done = 0; done < text.size();) {
    const long n = sys::write(file.get(), text.data() + done, text.size() - done);
    if (n == -EINTR) continue;
    if (n <= 0) return n == 0 ? -EIO : static_cast<int>(n);
    done += static_cast<unsigned long>(n);
  }
  return sys::sync(file.get());
}

}  // namespace

bool Question::launch(const char* session, Fd to_caller) {
  const char* doing = "open the session";
  session_ = Fd(sys::open_at(AT_FDCWD, session, O_RDONLY | O_DIRECTORY));
  const int e = session_ ? prepare(doing) : session_.get();
  Text<128> line;
  if (e == 0) {
    line << "running 0 " << facts_.started_ms << "\n";
  } else {
    if (lock_.is_held()) {
      record_.remove();
      active_.leave(task_id_);
      control_.unlink(folder_.get());
      sys::unlink_at(folder_.get(), kRunnerLock);
    }
    line << "failed " << static_cast<long>(-e) << " " << doing << "\n";
  }
  sys::write(to_caller.get(), line.c_str(), line.view().size());
  if (e == 0) record_.reserve_next();
  if (e == 0) report_created(spec_.telemetry, task_id_);
  return e == 0;
}

int Question::prepare(const char*& doing) {
  doing = "open the task's folder";
  tasks_ = Fd(sys::open_at(session_.get(), kTasksDir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (!tasks_) return tasks_.get();
  folder_ = Fd(sys::open_at(tasks_.get(), (Text<80>() << task_id_).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (!folder_) return folder_.get();
  doing = "make the entry in active/";
  if (const int e = active_.enter(session_.get(), task_id_); e < 0) return e;
  doing = "take runner.lock";
  if (const int e = lock_.open(folder_.get(), task_id_, {}); e < 0) return e;
  if (const int e = active_.check(task_id_); e < 0) return e;
  doing = "open the control socket";
  if (const int e = control_.open(folder_.get()); e < 0) return e;
  record_.open(tasks_.get(), folder_.get(), task_id_, spec_.constant);
  doing = "wait for events";
  if (const int e = watch_everything(); e < 0) return e;
  facts_.is_question = true;
  facts_.started_ms = sys::now_ms();
  facts_.timeout_ms = spec_.header->timeout_ms;
  facts_.started_seq = next_seq(session_.get());
  doing = "write the record";
  if (const int e = record_.commit(facts_); e < 0) return e;
  lock_.note_gate();
  return sys::arm(timer_.get(), facts_.timeout_ms);
}

int Question::watch_everything() {
  sigset_t mine;
  ::sigemptyset(&mine);
  ::sigaddset(&mine, SIGTERM);
  signals_ = Fd(sys::checked(::signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK)));
  timer_ = Fd(sys::timer());
  epoll_ = Fd(sys::epoll());
  for (const Fd* fd : {&signals_, &timer_, &epoll_})
    if (!*fd) return fd->get();
  control_.set_listener_tag(epoll_.get(), tag(Source::listener));
  int e = sys::watch(epoll_.get(), signals_.get(), tag(Source::signals));
  if (e == 0) e = sys::watch(epoll_.get(), timer_.get(), tag(Source::timer));
  if (e == 0) e = sys::watch(epoll_.get(), control_.listener(), tag(Source::listener));
  return e;
}

void Question::supervise() {
  while (phase_ != Phase::over) {
    epoll_event events[8];
    const int n = sys::wait_events(epoll_.get(), events, 8, control_.is_paused() ? static_cast<int>(kRetryMs) : -1);
    control_.listen_again();
    for (int i = 0; i < n && phase_ != Phase::over; ++i) {
      const auto fd = static_cast<int>(events[i].data.u64 & 0xFFFFFFFFU);
      switch (static_cast<Source>(events[i].data.u64 >> 32)) {
        case Source::signals: on_signals(); break;
        case Source::timer: on_timer(); break;
        case Source::listener: control_.accept(epoll_.get(), tag(Source::client)); break;
        case Source::client: on_client(fd, events[i].events); break;
      }
    }
  }
}

// A logout or a shutdown is not an answer: the question stays open, and the next process that looks at it checks the
// deadline.
void Question::on_signals() {
  signalfd_siginfo info{};
  if (sys::read(signals_.get(), &info, sizeof info) <= 0 || phase_ != Phase::open) return;
  control_.unlink(folder_.get());
  phase_ = Phase::over;
}

void Question::on_timer() {
  std::uint64_t fired = 0;
  if (sys::read(timer_.get(), &fired, sizeof fired) < 0) return;
  if (phase_ == Phase::open) {
    facts_.ended_ms = sys::now_ms();
    lock_.note_decision(Cause::deadline, "", facts_.ended_ms);
    phase_ = Phase::decided;
  }
  if (!facts_.question_outcome.empty()) return commit();
  if (spec_.argv[0][0] != '\0') return take_default();
  decide("expired");
}

void Question::take_default() {
  const std::string_view answer(spec_.argv[0]);
  int e = write_whole(folder_.get(), kDefaultFile, answer);
  if (e == 0) e = sys::rename_at(folder_.get(), kDefaultFile, folder_.get(), kOutputFile);
  if (e < 0) {  // the note in runner.lock has decided it already
    sys::arm(timer_.get(), kRetryMs);
    return;
  }
  sys::sync(folder_.get());
  facts_.output_bytes = static_cast<std::int64_t>(answer.size());
  decide("answered");
}

void Question::on_client(int client, unsigned events) {
  std::string_view line;
  while (phase_ != Phase::over && control_.next_line(client, line))
    std::visit([&](const auto& wanted) { on_request(client, wanted); }, request::parse(line));
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
    control_.hung_up(client, (events & (EPOLLHUP | EPOLLERR)) != 0);
}

void Question::on_request(int client, const request::Bad& bad) {
  Text<128> line;
  request::write_error(line, bad);
  control_.answer(client, line.view());
}

void Question::on_request(int client, const request::Wait& wanted) {
  control_.add_waiter(client, Control::awaits_end, wanted.inside);
}

void Question::on_request(int client, const request::Waiters& /*wanted*/) {
  control_.answer_waiters(client);
}

void Question::on_request(int client, const request::Started& /*wanted*/) {
  control_.answer(client, kStarted);
}

void Question::on_request(int client, const request::Release& /*wanted*/) {
  control_.answer(client, kDetached);
}

// Before the answer: what was acknowledged is true even if this process is killed (L55).
void Question::on_request(int client, const request::Stop& wanted) {
  const bool was_open = phase_ == Phase::open;
  if (was_open) lock_.note_decision(wanted.cause, wanted.reason, sys::now_ms());
  control_.answer(client, was_open ? kOk : kNo);
  withdraw(wanted.cause, wanted.reason);
}

void Question::on_request(int client, const request::StopOwned& wanted) {
  if (wanted.owner != spec_.owner || wanted.owner.empty()) return control_.answer(client, kNo);
  if (phase_ == Phase::open) lock_.note_decision(Cause::stop, kOwnerEnded, sys::now_ms());
  control_.answer(client, kOk);
  withdraw(Cause::stop, kOwnerEnded);
}

void Question::on_request(int client, const request::Signal& /*wanted*/) {
  control_.answer_result(client, -ESRCH);  // there is no process
}

void Question::on_request(int client, const request::Figures& /*wanted*/) {
  const long bytes = facts_.output_bytes < 0 ? 0 : facts_.output_bytes;
  control_.answer(client, (Text<64>() << kOutput << " " << bytes << " 0 0").view());
}

// The rename is the decision: if this process dies now, every other process finds the answer.
void Question::on_request(int client, const request::Settle& wanted) {
  if (phase_ != Phase::open) return control_.answer(client, kNo);
  const auto name = Text<80>() << wanted.draft;
  Fd draft(sys::open_at(folder_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW));
  struct stat about{};
  int e = !draft ? draft.get() : sys::checked(::fstat(draft.get(), &about));
  if (e >= 0) e = sys::rename_at(folder_.get(), name.c_str(), folder_.get(), kOutputFile);
  if (e < 0) return control_.answer_result(client, e);
  sys::sync(folder_.get());
  control_.answer(client, kOk);
  phase_ = Phase::decided;
  facts_.output_bytes = about.st_size;
  decide(wanted.dismissed ? "dismissed" : "answered");
}

void Question::withdraw(Cause cause, std::string_view reason) {
  if (phase_ != Phase::open) return;
  facts_.ended_ms = sys::now_ms();
  lock_.note_decision(cause, reason, facts_.ended_ms);
  phase_ = Phase::decided;
  facts_.quiet = cause == Cause::stop_quietly;
  reason_ << reason;
  facts_.reason = reason_.view();
  decide("withdrawn");
}

void Question::decide(std::string_view outcome) {
  facts_.question_outcome = outcome;
  facts_.status = status_of(outcome);
  if (facts_.ended_ms < 0) facts_.ended_ms = sys::now_ms();
  if (facts_.output_bytes < 0) facts_.output_bytes = 0;
  sys::arm(timer_.get(), 0);
  commit();
}

void Question::commit() {
  facts_.ended_seq = next_seq(session_.get());
  Fd outbox;
  int e = facts_.quiet ? 0 : announce_end(session_.get(), task_id_, outbox);
  if (e == 0) e = record_.commit(facts_, outbox.get());
  if (e < 0 && e != -ENOENT) {
    lock_.note_refusal(-e);
    control_.tell(Control::awaits_end, kRefused);
    sys::arm(timer_.get(), kRetryMs);
    return;
  }
  phase_ = Phase::over;
  if (e < 0) return;  // the session is gone
  report_completed(spec_.telemetry, task_id_, facts_);
  active_.end(task_id_);
  // The file is removed while the lock is held: a process that does not find it reads a final record.
  sys::unlink_at(folder_.get(), kRunnerLock);
  control_.unlink(folder_.get());
  lock_.release();
  control_.tell(Control::awaits_end, kEnded);
}

}  // namespace runner
