#include "runner/record/record.h"

#include "contract/names.h"
#include "contract/seq.h"

#include <sys/uio.h>

namespace runner {
namespace {

// Room for everything that the runner adds: the reason (escaped: up to six times its length), the attempts, the numbers.
using Members = Text<14336>;

Members members;

void add(Members& to, std::string_view name, std::int64_t value) {
  to << ",\"" << name << "\":" << value;
}

void write_number_or_null(Members& to, int value) {
  if (value < 0) {
    to << "null";
  } else {
    to << value;
  }
}

void write_attempts(Members& to, const Facts& f) {
  if (f.attempt_count == 0) return;
  to << ",\"attempts\":{\"count\":" << f.attempt_count << ",\"last\":[";
  const int first = f.attempt_count > Facts::kAttempts ? f.attempt_count - Facts::kAttempts : 0;
  for (int i = first; i < f.attempt_count; ++i) {
    const AttemptFacts& one = f.attempts[i % Facts::kAttempts];
    to << (i > first ? "," : "") << "{\"startedAt\":" << one.started_ms << ",\"endedAt\":" << one.ended_ms
       << ",\"exitCode\":";
    write_number_or_null(to, one.signal > 0 ? -1 : one.exit_code);
    if (one.signal > 0) add(to, "signal", one.signal);
    add(to, "outputOffset", one.output_offset);
    to << "}";
  }
  to << "]}";
}

void write_exit(Members& to, const Facts& f) {
  add(to, "pid", f.pid);
  if (f.is_agent) return;
  to << ",\"exitCode\":";
  write_number_or_null(to, f.has_ended() ? f.exit_code : -1);
}

void write_members(Members& to, const Facts& f, std::string_view identity) {
  to << ",\"status\":\"" << f.status << "\",\"detached\":" << (f.detached ? "true" : "false");
  add(to, "startedAt", f.started_ms);
  to << ",\"endedAt\":";
  if (f.ended_ms < 0 || !f.has_ended()) {
    to << "null";
  } else {
    to << f.ended_ms;
  }
  if (!f.reason.empty()) to << ",\"stopReason\":\"" << f.reason << "\"";
  if (f.quiet) to << ",\"terminalNotificationSuppressed\":true";
  if (f.timeout_ms > 0) add(to, "timeoutMs", f.timeout_ms);
  if (f.timeout_ms > 0 && f.timeout_from_ms > 0) add(to, "timeoutFrom", f.timeout_from_ms);
  if (f.timed_out_by_idle) to << R"(,"timedOutBy":"idle")";
  if (!f.question_outcome.empty()) to << ",\"questionOutcome\":\"" << f.question_outcome << "\"";
  if (!f.is_question) write_exit(to, f);
  if (!f.note.empty()) to << "," << f.note;
  if (f.signal > 0 && f.has_ended()) add(to, "signal", f.signal);
  write_attempts(to, f);
  to << ",\"runner\":{\"pid\":" << static_cast<long>(sys::own_pid()) << ",\"startTicks\":" << Record::start_ticks()
     << "}" << identity;
  if (f.output_bytes >= 0) add(to, "outputBytes", f.output_bytes);
  if (f.dropped_bytes > 0) {
    add(to, "droppedBytes", f.dropped_bytes);
    add(to, "droppedAt", f.dropped_at);
  } else if (f.may_drop) {
    add(to, "droppedAt", f.dropped_at);
  }
  if (f.unstored_bytes > 0) add(to, "unstoredBytes", f.unstored_bytes);
  if (f.survivor_count > 0) {
    to << ",\"survivors\":[";
    for (int i = 0; i < f.survivor_count; ++i) {
      if (i > 0) to << ",";
      to << f.survivors[i];
    }
    to << "]";
  }
  if (!f.cgroup.empty()) to << ",\"cgroup\":\"" << f.cgroup << "\"";
  if (f.leftovers > 0) add(to, "leftovers", f.leftovers);
  if (f.started_seq >= 0) add(to, "startedSeq", f.started_seq);
  if (f.ended_seq >= 0) add(to, "endedSeq", f.ended_seq);
  to << "}\n";
}

}  // namespace

void Record::open(int tasks_folder, int task_folder, std::string_view task_id, std::string_view constant,
                  long note_room) {
  tasks_ = tasks_folder;
  folder_ = task_folder;
  constant_ = constant;
  note_room_ = note_room;
  name_ << task_id << ".json";
}

int Record::commit(const Facts& facts, int outbox) {
  const bool is_new = !next_;
  if (is_new)
    next_ = Fd(sys::open_at(folder_, perdure::contract::kNextRecord, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW));
  if (!next_) return next_.get();
  const long size = write(next_.get(), facts);
  if (size < 0) return static_cast<int>(size);
  // Room was set aside, or an attempt before this one failed.
  if (!is_new)
    if (const int e = sys::cut(next_.get(), size); e < 0) return e;
  // The data before the name, and the folder last: after a power cut there is the old record or the new one.
  if (const int e = sys::sync(next_.get()); e < 0) return e;
  // After the record's data: with one journal, that flush has made the entry durable, and this is no second flush.
  if (outbox >= 0)
    if (const int e = sys::sync(outbox); e < 0) return e;
  if (const int e = sys::rename_at(folder_, perdure::contract::kNextRecord, tasks_, name_.c_str()); e < 0) return e;
  next_.reset();
  return sys::sync(tasks_);
}

int Record::write_to(int file, const Facts& facts) const {
  const long size = write(file, facts);
  return size < 0 ? static_cast<int>(size) : sys::cut(file, size);
}

// Returns how many bytes it has.
long Record::write(int file, const Facts& facts) const {
  members.clear();
  write_members(members, facts, identity_);
  const auto part = [](std::string_view text) { return iovec{const_cast<char*>(text.data()), text.size()}; };
  iovec parts[] = {part("{"), part(constant_), part(members.view())};
  constexpr int kParts = 3;
  long at = 0;
  for (int first = 0; first < kParts;) {
    const long n = sys::write_parts_at(file, parts + first, kParts - first, at);
    if (n == -EINTR) continue;
    if (n <= 0) return n == 0 ? -EIO : n;
    at += n;
    auto done = static_cast<unsigned long>(n);
    for (; first < kParts && done >= parts[first].iov_len; ++first) done -= parts[first].iov_len;
    if (first == kParts) break;
    parts[first].iov_base = static_cast<char*>(parts[first].iov_base) + done;
    parts[first].iov_len -= done;
  }
  return at;
}

int Record::reserve_next() {
  next_ = Fd(sys::open_at(folder_, perdure::contract::kNextRecord, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW));
  if (!next_) return next_.get();
  constexpr long kOrdinary = 3072;  // enough for what the runner adds, unless the reason is very long
  return sys::reserve(next_.get(), static_cast<long>(constant_.size()) + note_room_ + kOrdinary);
}

std::string_view Record::committed_members() {
  return first(members.view(), members.view().size() - 1);  // without the line end
}

void Record::remove() {
  sys::unlink_at(tasks_, name_.c_str());
  drop_next();
}

void Record::drop_next() {
  sys::unlink_at(folder_, perdure::contract::kNextRecord);
  next_.reset();
}

std::int64_t Record::start_ticks() {
  static std::int64_t ticks = 0;
  if (ticks != 0) return ticks;
  char buffer[512];
  Fd fd(sys::open_at(AT_FDCWD, "/proc/self/stat", O_RDONLY));
  const long n = fd ? sys::read(fd.get(), buffer, sizeof buffer) : 0;
  std::string_view text(buffer, n > 0 ? static_cast<unsigned long>(n) : 0);
  const auto name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return 0;
  text.remove_prefix(name_end + 2);
  for (int field = 3; field < 22; ++field) take_word(text);
  ticks = take_number(text);
  return ticks;
}

std::int64_t next_seq(int session_folder) {
  const Fd file(sys::open_at(session_folder, perdure::contract::kSeqFile, O_RDWR | O_CREAT | O_NOFOLLOW));
  return perdure::contract::next_in_sequence(file.get(), sys::now_us(CLOCK_REALTIME));
}

}  // namespace runner
