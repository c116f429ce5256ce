#include "contract/control.h"
#include "contract/names.h"
#include "runner/record/identity.h"
#include "runner/record/telemetry.h"
#include "runner/run.h"

namespace runner {

using namespace perdure::contract;

namespace {

void answer(int fd, std::string_view text) {
  sys::write(fd, text.data(), text.size());
}

}  // namespace

bool Run::launch(const char* session, Fd to_caller) {
  const char* doing = "open the session";
  ExecFailure failure{};
  Refusal refusal;
  const int answer_fd = to_caller.get();
  hooks_.open(session, folder_);
  session_ = Fd(sys::open_at(AT_FDCWD, session, O_RDONLY | O_DIRECTORY));
  int e = session_ ? admit(doing, refusal) : session_.get();
  if (e == 0 && life_.is(State::parked)) {
    answer(answer_fd, "queued\n");
    // One that takes the place of a runner that was killed was reported by that.
    if (entry_name_.empty()) report_created(spec_.telemetry, task_id_);
    return true;
  }
  if (e == 0) e = prepare(doing);
  if (e == 0) e = start_command(doing, failure);
  if (e == 0 && failure.error == 0) {
    apply(Event::started);
    answer(answer_fd,
           (Text<64>() << "running " << static_cast<long>(facts_.pid) << " " << facts_.started_ms << "\n").view());
    if (life_.is_foreground()) {
      watch_caller(std::move(to_caller));
    } else {
      // Behind the answer, since nobody needs to wait for it: on a disk that is full by now the terminal record is
      // tried again until there is room (commit()).
      record_.reserve_next();
      report_created(spec_.telemetry, task_id_);
    }
    tell_hooks(hook_started);
    return true;
  }
  limits_.remove();
  clear_away();
  const long cap = spec_.header->max_running;
  if (failure.error != 0 && failure.step == ExecFailure::limits) {
    answer(answer_fd,
           (Text<96>() << "failed " << static_cast<long>(failure.error) << " put it under its limits\n").view());
  } else if (failure.error != 0) {
    answer(answer_fd, (Text<64>() << (failure.step == ExecFailure::cwd ? "cwd " : "exec ")
                                  << static_cast<long>(failure.error) << "\n")
                          .view());
  } else if (refusal.waiting > 0) {
    answer(answer_fd, (Text<64>() << "waiting " << static_cast<long>(refusal.waiting) << " " << cap << "\n").view());
  } else if (refusal.held > 0) {
    answer(answer_fd, (Text<64>() << "limit " << static_cast<long>(refusal.held) << " " << cap << "\n").view());
  } else {
    answer(answer_fd, (Text<128>() << "failed " << static_cast<long>(-e) << " " << doing << "\n").view());
  }
  return false;
}

// What is left on disk goes before the answer: whoever hears it finds nothing (architecture, "Launch"). Without the lock
// nothing of it is ours: another runner has this task.
void Run::clear_away() {
  if (!lock_.is_held()) return;
  record_.remove();
  active_.leave(task_id_);
  control_.unlink(folder_.get());
  sys::unlink_at(folder_.get(), kRunnerLock);
}

int Run::open_folders(const char*& doing) {
  doing = "open the task's folder";
  tasks_ = Fd(sys::open_at(session_.get(), kTasksDir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (!tasks_) return tasks_.get();
  folder_ = Fd(sys::open_at(tasks_.get(), (Text<80>() << task_id_).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  return folder_ ? 0 : folder_.get();
}

// A slot, a place in the queue, or neither for a foreground task (L02).
int Run::admit(const char*& doing, Refusal& refusal) {
  if (const int e = open_folders(doing); e < 0) return e;
  if (life_.is_foreground()) return 0;
  doing = "take a slot in the session";
  const int cap = static_cast<int>(spec_.header->max_running);
  if (const int e = slot_.open(session_.get()); e < 0) return e;
  const bool may_wait = spec_.header->mode == SpecMode::queued;
  if (cap > 0 || may_wait) {
    if (const int e = queue_.open(session_.get(), tasks_.get(), task_id_); e < 0) return e;
    if (const int e = queue_.lock(); e < 0) return e;
  }
  if (may_wait && (!spec_.after.empty() || !entry_name_.empty())) return park(doing);
  if (cap > 0) refusal.waiting = queue_.count();
  const int e = refusal.waiting > 0 ? -EDQUOT : slot_.take(task_id_, cap, refusal.held);
  if (e == -EDQUOT && may_wait) {
    refusal = {};
    return park(doing);
  }
  queue_.unlock();  // before the fork: the child must not hold it
  if (e != -EDQUOT) refusal = {};
  return e;
}

int Run::prepare(const char*& doing) {
  doing = "make the entry in active/";
  if (const int e = active_.enter(session_.get(), task_id_); e < 0) return e;
  doing = "take runner.lock";
  if (const int e = lock_.open(folder_.get(), task_id_); e < 0) return e;
  if (const int e = active_.check(task_id_); e < 0) return e;
  lock_.note_key(spec_.variable(kKeyVariable));
  queue_restart_.prepare(spec_);
  doing = "open the control socket";
  if (const int e = control_.open(folder_.get()); e < 0) return e;
  log_.open(folder_.get(), spec_.header->output_limit, spec_.header->on_limit, life_.is_foreground());
  record_.open(tasks_.get(), folder_.get(), task_id_, spec_.constant, is_agent() ? kMaxNoteBytes : 0);
  record_.set_identity(identity_members(session_.get()));
  facts_.is_agent = is_agent();
  know_agent(spec_.note);
  doing = "wait for events";
  if (const int e = watch_everything(); e < 0) return e;
  if (!life_.is_foreground()) return 0;
  facts_.detached = false;
  if (spec_.header->has_stream != 0) stream_.open(Fd(kStreamFd));
  record_file_ = Fd(sys::make_memory_file("perdure-record"));
  return record_file_ ? 0 : record_file_.get();
}

int Run::start_command(const char*& doing, ExecFailure& failure) {
  doing = "make pipes";
  if (const int e = stdio_.open(*spec_.header); e < 0) return e;
  output_ = stdio_.take_output();
  int ends[2];
  if (const int e = sys::pipe(ends); e < 0) return e;
  Fd gate_out(ends[0]), gate_in(ends[1]);
  if (const int e = sys::pipe(ends); e < 0) return e;
  Fd failure_out(ends[0]), failure_in(ends[1]);
  doing = "wait for events";
  if (const int e = sys::watch(epoll_.get(), output_.get(), tag(Source::output)); e < 0) return e;

  limits_.open(spec_, task_id_);
  if (limits_.by_cgroup()) facts_.cgroup = spec_.cgroup;
  doing = "make a process";
  int pid = -EAGAIN;
  // The limit on processes may be reached for just a moment; the caller waits for our answer meanwhile.
  for (int attempt = 0; attempt < 20 && (pid = sys::fork()) == -EAGAIN; ++attempt) {
    const timespec a_moment{0, 10'000'000};
    ::nanosleep(&a_moment, nullptr);
  }
  if (pid < 0) return pid;
  if (pid == 0)
    become_command(
        spec_, inherited_, limits_,
        {gate_out.get(), stdio_.command_output(), failure_in.get(), stdio_.command_input(), stdio_.is_terminal()},
        {lock_.fd(), slot_.fd(), control_.listener(), gate_in.get()});
  if (!stdio_.is_terminal()) ::setpgid(pid, pid);  // else the child makes itself a session, which a leader can't
  tree_.set_command(pid);
  stdio_.let_go_of_command_side();
  gate_out.reset();
  failure_in.reset();

  facts_.pid = pid;
  facts_.started_ms = sys::now_ms();
  facts_.timeout_ms = spec_.header->timeout_ms;
  int e = 0;
  if (!life_.is_foreground()) {
    facts_.started_seq = next_seq(session_.get());
    doing = "write the record";
    e = record_.commit(facts_);
  }
  if (e < 0) {
    gate_in.reset();  // the child sees the end of the gate and is gone
    ::waitpid(pid, nullptr, 0);
    return e;
  }
  lock_.note_gate();
  if (facts_.timeout_ms > 0) sys::arm(timer_.get(), facts_.timeout_ms);
  idle_.start(spec_.header->idle_timeout_ms);
  sys::write(gate_in.get(), "G", 1);
  gate_in.reset();
  long n = 0;
  while ((n = sys::read(failure_out.get(), &failure, sizeof failure)) == -EINTR) {
  }
  if (n == static_cast<long>(sizeof failure)) {
    ::waitpid(pid, nullptr, 0);
    return 0;
  }
  failure = {};
  spec_.drop_command();
  return 0;
}

int Run::watch_everything() {
  sigset_t mine;
  ::sigemptyset(&mine);
  ::sigaddset(&mine, SIGCHLD);
  ::sigaddset(&mine, SIGTERM);
  signals_ = Fd(sys::checked(::signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK)));
  timer_ = Fd(sys::timer());
  epoll_ = Fd(sys::epoll());
  if (const int e = idle_.open(); e < 0) return e;
  for (const Fd* fd : {&signals_, &timer_, &epoll_})
    if (!*fd) return fd->get();
  control_.set_listener_tag(epoll_.get(), tag(Source::listener));
  int e = sys::watch(epoll_.get(), signals_.get(), tag(Source::signals));
  if (e == 0) e = sys::watch(epoll_.get(), timer_.get(), tag(Source::timer));
  if (e == 0) e = sys::watch(epoll_.get(), idle_.fd(), tag(Source::idle));
  if (e == 0) e = sys::watch(epoll_.get(), control_.listener(), tag(Source::listener));
  return e;
}

}  // namespace runner
