#include "contract/control.h"
#include "contract/names.h"
#include "runner/record/identity.h"
#include "runner/record/telemetry.h"
#include "runner/run.h"

namespace runner {

using namespace perdure::contract;

namespace {

constexpr long kAttemptBytes = 128;  // of one attempt in the record

void answer(int fd, std::string_view text) {
  sys::write(fd, text.data(), text.size());
}

}  // namespace

bool Run::launch(const char* session, Fd to_caller) {
  const char* doing = "open the session";
  ExecFailure failure{};
  Refusal refusal;
  const int answer_fd = to_caller.get();
  hooks_.open(session, folders_.task);
  folders_.session = Fd(sys::open_at(AT_FDCWD, session, O_RDONLY | O_DIRECTORY));
  int e = folders_.session ? admit(doing, refusal) : folders_.session.get();
  if (e == 0 && life_.is(State::parked)) {
    answer(answer_fd, "queued\n");
    // If it replaces a runner that was killed, that runner has reported the task already.
    if (place_.entry_name.empty()) report_created(spec_.telemetry, task_id_);
    return true;
  }
  if (e == 0) e = prepare(doing);
  if (e == 0) e = start_command(doing, failure);
  if (e == 0 && failure.error == 0) {
    apply(Event::started);
    answer_running(answer_fd);
    if (life_.is_foreground()) {
      watch_caller(std::move(to_caller));
    } else {
      // After the answer, since the caller need not wait for it. If the disk is full by now, commit() retries the
      // terminal record until there is room.
      durable_.record.reserve_next();
      report_created(spec_.telemetry, task_id_);
    }
    if (!may_restart()) spec_.drop_command();
    tell_hooks(hook_started);
    return true;
  }
  processes_.limits.remove();
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

// The answer holds the record, so that the caller does not read what was just written (D51).
void Run::answer_running(int fd) const {
  const auto word = Text<64>() << "running " << static_cast<long>(durable_.facts.pid) << " "
                               << durable_.facts.started_ms << (life_.is_foreground() ? "" : " ");
  const auto part = [](std::string_view text) { return iovec{const_cast<char*>(text.data()), text.size()}; };
  const iovec parts[] = {part(word.view()), part(life_.is_foreground() ? "" : Record::committed_members()), part("\n")};
  sys::write_parts(fd, parts, 3);
}

// What is left on disk goes before the answer: a caller that has the answer finds nothing left (architecture, "Launch"). Without the lock
// nothing of it is ours: another runner has this task.
void Run::clear_away() {
  if (!durable_.lock.is_held()) return;
  if (!place_.is_stale) durable_.record.remove();  // else the task has started, and perhaps ended, without this runner
  durable_.active.leave(task_id_);
  control_.unlink(folders_.task.get());
  sys::unlink_at(folders_.task.get(), kRunnerLock);
}

int Run::open_folders(const char*& doing) {
  doing = "open the task's folder";
  folders_.tasks = Fd(sys::open_at(folders_.session.get(), kTasksDir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (!folders_.tasks) return folders_.tasks.get();
  folders_.task =
      Fd(sys::open_at(folders_.tasks.get(), (Text<80>() << task_id_).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  return folders_.task ? 0 : folders_.task.get();
}

// Takes a slot or a place in the queue; neither for a foreground task (L02).
int Run::admit(const char*& doing, Refusal& refusal) {
  if (const int e = open_folders(doing); e < 0) return e;
  if (life_.is_foreground()) return 0;
  doing = "take a slot in the session";
  const int cap = static_cast<int>(spec_.header->max_running);
  if (const int e = place_.slot.open(folders_.session.get()); e < 0) return e;
  const bool may_wait = spec_.header->mode == SpecMode::queued;
  if (cap > 0 || may_wait) {
    if (const int e = place_.queue.open(folders_.session.get(), folders_.tasks.get(), task_id_); e < 0) return e;
    if (const int e = place_.queue.lock(); e < 0) return e;
  }
  if (may_wait && (!spec_.after.empty() || !place_.entry_name.empty())) return park(doing);
  if (cap > 0) refusal.waiting = place_.queue.count();
  const int e = refusal.waiting > 0 ? -EDQUOT : place_.slot.take(task_id_, cap, refusal.held);
  if (e == -EDQUOT && may_wait) {
    refusal = {};
    return park(doing);
  }
  place_.queue.unlock();  // before the fork: the child must not hold it
  if (e != -EDQUOT) refusal = {};
  return e;
}

int Run::prepare(const char*& doing) {
  doing = "make the entry in active/";
  if (const int e = durable_.active.enter(folders_.session.get(), task_id_); e < 0) return e;
  doing = "take runner.lock";
  if (const int e = durable_.lock.open(folders_.task.get(), task_id_, spec_.variable(kKeyVariable)); e < 0) return e;
  if (const int e = durable_.active.check(task_id_); e < 0) return e;
  queue_restart_.prepare(spec_);
  doing = "open the control socket";
  if (const int e = control_.open(folders_.task.get()); e < 0) return e;
  output_.log.open(folders_.task.get(), spec_.header->output_limit, spec_.header->on_limit, life_.is_foreground());
  durable_.record.open(folders_.tasks.get(), folders_.task.get(), task_id_, spec_.constant,
                       is_agent()      ? kMaxNoteBytes
                       : may_restart() ? kAttemptBytes * Facts::kAttempts
                                       : 0);
  durable_.record.set_identity(spec_.identity.empty() ? identity_members(folders_.session.get()) : spec_.identity);
  durable_.facts.is_agent = is_agent();
  know_agent(spec_.note);
  doing = "wait for events";
  if (const int e = watch_everything(); e < 0) return e;
  if (!life_.is_foreground()) return 0;
  durable_.facts.detached = false;
  if (spec_.header->has_stream != 0) output_.stream.open(Fd(kStreamFd));
  caller_.record = Fd(sys::make_memory_file("perdure-record"));
  return caller_.record ? 0 : caller_.record.get();
}

int Run::start_command(const char*& doing, ExecFailure& failure) {
  doing = "make pipes";
  if (const int e = output_.stdio.open(*spec_.header); e < 0) return e;
  output_.pipe = output_.stdio.take_output();
  int ends[2];
  if (const int e = sys::pipe(ends); e < 0) return e;
  Fd gate_out(ends[0]), gate_in(ends[1]);
  if (const int e = sys::pipe(ends); e < 0) return e;
  Fd failure_out(ends[0]), failure_in(ends[1]);
  doing = "wait for events";
  if (const int e = loop_.watch(output_.pipe.get(), Source::output); e < 0) return e;

  const bool is_first = durable_.facts.attempt_count == 0;
  if (is_first) processes_.limits.open(spec_, task_id_);
  if (processes_.limits.by_cgroup()) durable_.facts.cgroup = spec_.cgroup;
  doing = "make a process";
  int pid = -EAGAIN;
  // The limit on processes may be reached for just a moment, and the caller waits for the answer meanwhile.
  for (int attempt = 0; attempt < 20 && (pid = sys::fork()) == -EAGAIN; ++attempt) {
    const timespec a_moment{0, 10'000'000};
    ::nanosleep(&a_moment, nullptr);
  }
  if (pid < 0) return pid;
  if (pid == 0)
    become_command(spec_, inherited_, processes_.limits,
                   {gate_out.get(), output_.stdio.command_output(), failure_in.get(), output_.stdio.command_input(),
                    output_.stdio.is_terminal()},
                   {durable_.lock.fd(), place_.slot.fd(), control_.listener(), gate_in.get()});
  // Else the child calls setsid(), which fails in a process group leader.
  if (!output_.stdio.is_terminal()) ::setpgid(pid, pid);
  processes_.tree.set_command(pid);
  output_.stdio.let_go_of_command_side();
  gate_out.reset();
  failure_in.reset();

  durable_.facts.pid = pid;
  restarts_.started_ms = sys::now_ms();
  restarts_.output_offset = output_.log.stream_bytes();
  if (is_first) {
    durable_.facts.started_ms = restarts_.started_ms;
    durable_.facts.timeout_ms = spec_.header->timeout_ms;
  }
  int e = 0;
  if (!life_.is_foreground()) {
    if (is_first) durable_.facts.started_seq = next_seq(folders_.session.get());
    doing = "write the record";
    e = durable_.record.commit(durable_.facts);
  }
  if (e < 0) {
    gate_in.reset();  // the child reads the end of the gate and exits
    ::waitpid(pid, nullptr, 0);
    return e;
  }
  durable_.lock.note_gate();
  if (const long left = deadline_left_ms(); left >= 0) deadlines_.arm(left > 0 ? left : 1);
  deadlines_.idle.start(spec_.header->idle_timeout_ms);
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
  return 0;
}

int Run::watch_everything() {
  int e = loop_.open();
  if (e == 0) e = deadlines_.open(spec_.header->idle_timeout_ms > 0);
  if (e < 0) return e;
  control_.set_listener_tag(loop_.epoll.get(), Loop::tag(Source::listener));
  e = loop_.watch(deadlines_.timer.get(), Source::timer);
  if (e == 0 && deadlines_.idle.fd() >= 0) e = loop_.watch(deadlines_.idle.fd(), Source::idle);
  if (e == 0) e = loop_.watch(control_.listener(), Source::listener);
  return e;
}

}  // namespace runner
