#include "contract/control.h"
#include "contract/lock_page.h"
#include "contract/names.h"
#include "runner/admission/status.h"
#include "runner/run.h"

#include <cstdlib>

// A task that waits: for a slot, for those before it in the queue, or for the end of another task (L05).
namespace runner {

using namespace perdure::contract;

namespace {

// Where nobody can be asked to tell: between a slot's taking and its holder's socket, or on a machine out of descriptors.
constexpr long kSoonMs = 20;
constexpr long kLaterMs = 1'000;

std::string_view in_words(int error) {
  switch (error) {
    case ENOENT: return "the program is not there";
    case EACCES:
    case EPERM: return "permission denied";
    case ENOTDIR: return "not a folder";
    case ENOEXEC: return "not a program";
    case ENOMEM:
    case EAGAIN: return "no memory or no process was left";
    case ENOSPC: return "the disk is full";
    default: return "the system refused";
  }
}

}  // namespace

// Called with the queue's lock.
int Run::park(const char*& doing) {
  if (const int e = prepare(doing); e < 0) return e;
  doing = "wait in the queue";
  if (entry_name_.empty()) {
    const int e =
        queue_.enter(spec_.header->priority, next_seq(session_.get()), !spec_.after.empty(), spec_.entry_text);
    if (e < 0) return e;
  } else {
    queue_.adopt(entry_name_);
  }
  queue_.unlock();
  apply(Event::queued);
  return 0;
}

void Run::try_to_start() {
  drop_awaited();
  sys::arm(timer_.get(), 0);
  if (!may_follow()) return;
  if (queue_.lock() < 0) {
    sys::arm(timer_.get(), kLaterMs);
    return;
  }
  Queue::Id before;
  if (queue_.nearest_before(before) < 0) {
    queue_.unlock();
    sys::arm(timer_.get(), kLaterMs);
    return;
  }
  if (!before.view().empty()) {
    await(before.view(), kStarted);
    return queue_.unlock();
  }
  const int cap = static_cast<int>(spec_.header->max_running);
  int held = 0;
  int e = slot_.take(task_id_, cap, held);
  if (e == -EDQUOT) {
    // With one slot only, its holder must not wait for us: that is a cycle, and the holder is told so (L43).
    const auto wait = Text<96>() << kWait << (cap == 1 ? " " : "") << (cap == 1 ? task_id_ : std::string_view());
    slot_.each_holder([&](std::string_view id) { await(id, wait.c_str()); });
    e = slot_.take(task_id_, cap, held);  // one that came free before its holder could be asked
  }
  queue_.unlock();
  if (e == 0) return start_parked();
  if (e != -EDQUOT) sys::arm(timer_.get(), kLaterMs);
}

// May it take its place in the queue, as far as the task is concerned that it follows?
bool Run::may_follow() {
  if (!queue_.follows()) return true;
  const auto as_ended = [&](std::string_view how) {
    const auto reason = Text<192>() << "Task " << spec_.after << ", which it was to follow, " << how;
    end(Event::stop, reason.view(), 0);
    return false;
  };
  switch (const Predecessor found = look_at_predecessor(tasks_.get(), spec_.after)) {
    case Predecessor::lives: await(spec_.after, (Text<96>() << kWait << " " << task_id_).c_str()); return false;
    case Predecessor::unknown: sys::arm(timer_.get(), kLaterMs); return false;
    case Predecessor::gone: return as_ended("is not there any more");
    case Predecessor::completed: break;
    default: return as_ended(in_words(found));
  }
  int e = queue_.lock();
  if (e == 0) e = queue_.compete(spec_.header->priority);
  queue_.unlock();
  if (e < 0) sys::arm(timer_.get(), kLaterMs);
  return e == 0;
}

// The next word from that task's runner, or its hang-up, has us look again.
void Run::await(std::string_view id, const char* word) {
  Fd runner(connect_to_runner(tasks_.get(), id));
  if (awaited_count_ == awaited_room_) {
    const int more = awaited_room_ + 16;
    void* const moved = std::realloc(static_cast<void*>(awaited_), static_cast<unsigned long>(more) * sizeof(int));
    if (moved == nullptr) runner.reset();
    if (moved != nullptr) {
      awaited_ = static_cast<int*>(moved);
      awaited_room_ = more;
    }
  }
  const auto line = Text<128>() << word << "\n";
  if (!runner || ::send(runner.get(), line.c_str(), line.view().size(), MSG_NOSIGNAL) < 0 ||
      sys::watch(epoll_.get(), runner.get(), tag(Source::awaited)) < 0) {
    sys::arm(timer_.get(), kSoonMs);
    return;
  }
  awaited_[awaited_count_++] = runner.release();
}

void Run::drop_awaited() {
  while (awaited_count_ > 0) sys::close(awaited_[--awaited_count_]);
}

void Run::start_parked() {
  drop_awaited();
  const char* doing = "";
  ExecFailure failure{};
  const int e = start_command(doing, failure);
  const int error = failure.error != 0 ? failure.error : -e;
  if (error != 0) {
    facts_.pid = 0;
    const auto reason = Text<128>() << "It could not be started: " << in_words(error) << " (error "
                                    << static_cast<long>(error) << ")";
    facts_.status = "failed";
    return apply(Event::start_failed, seen(), {.reason = reason.view()});
  }
  apply(Event::started);
  // The record is there, and only now does the entry go: whoever finds neither may say that there is no such task.
  queue_.leave();
  control_.tell(Control::awaits_start, kStarted);
  tell_hooks(hook_started);
  record_.reserve_next();
}

// Its reason is decide()'s, or what kept the command from being started.
void Run::end_parked() {
  drop_awaited();
  if (facts_.status != "failed") facts_.status = "killed";
  facts_.quiet = life_.cause == Cause::stop_quietly;
  facts_.reason = reason_.view();
  facts_.ended_ms = sys::now_ms();
  if (facts_.started_ms == 0) facts_.started_ms = facts_.ended_ms;
  facts_.output_bytes = 0;
  sys::arm(timer_.get(), 0);
  make_room();
  commit();
}

// The queue goes on even when nobody of Perdure but this process is left to see to it.
void Run::make_room() {
  slot_.release();
  if (inherited_.job_ends >= 0) return;  // in place, the engine's queue is what counts
  tree_.leave_out(queue_restart_.start_if_needed(session_.get(), tasks_.get(), task_id_, inherited_));
}

}  // namespace runner
