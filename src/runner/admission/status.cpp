#include "runner/admission/status.h"

#include "contract/lock_page.h"
#include "contract/names.h"
#include "contract/outcome.h"
#include "runner/os/text.h"

#include <cstring>

namespace runner {

using namespace perdure::contract;

namespace {

// The runner was killed. Its notes decide, as they do in any manager.
Predecessor as_noted(int lock) {
  char exit[kExitBytes + 1] = {}, decision[64] = {};
  sys::read_at(lock, exit, kExitBytes, kExitAt);
  sys::read_at(lock, decision, sizeof decision - 1, kDecisionAt);
  std::string_view how(exit), note(decision);
  const std::string_view cause = take_word(note);
  const auto line_end = note.find('\n');
  // A note has either a reason or an exit status: for a subagent a reason means that it failed.
  const bool has_reason =
      line_end != std::string_view::npos && line_end + 1 < note.size() && note[line_end + 1] != '\n';
  const bool is_agent = how.empty() && (cause == word_of(Cause::exit) || cause == word_of(Cause::exit_quietly));
  switch (outcome_of({.is_agent = is_agent,
                      .decided = cause.empty() ? Cause::none : cause_of(cause),
                      .has_reason = has_reason,
                      .exited = !how.empty(),
                      .by_signal = how.starts_with("signal "),
                      .value = how.starts_with("exit 0 ") ? 0 : 1})
              .ending) {
    case Ending::undecided: return Predecessor::lost;
    case Ending::completed: return Predecessor::completed;
    case Ending::failed: return Predecessor::failed;
    case Ending::timed_out: return Predecessor::timed_out;
    case Ending::killed: return Predecessor::killed;
  }
  return Predecessor::lost;
}

Predecessor as_recorded(std::string_view status, const Fd& lock) {
  if (status == "completed") return Predecessor::completed;
  if (status == "failed") return Predecessor::failed;
  if (status == "timed_out") return Predecessor::timed_out;
  if (status == "killed") return Predecessor::killed;
  if (status == "lost") return Predecessor::lost;
  return status == "running" && lock ? as_noted(lock.get()) : Predecessor::unknown;
}

bool waits_in_queue(int tasks_folder, std::string_view id) {
  const Fd folder(sys::open_at(tasks_folder, (Text<80>() << id).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  return static_cast<bool>(folder);  // its runner was killed, and it will be started again
}

}  // namespace

Predecessor look_at_predecessor(int tasks_folder, std::string_view id) {
  // It runs elsewhere and has not ended, as far as is known here. Looked at first: the entry goes after the record of
  // its end is there.
  const Fd far_entry(
      sys::open_at(tasks_folder, (Text<96>() << "../" << kFarDir << "/" << id).c_str(), O_RDONLY | O_NOFOLLOW));
  if (far_entry) return Predecessor::unknown;
  const Fd folder(sys::open_at(tasks_folder, (Text<80>() << id).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  Fd lock;
  if (folder) lock = Fd(sys::open_at(folder.get(), kRunnerLock, O_RDONLY | O_NOFOLLOW));
  if ((folder.get() < 0 && folder.get() != -ENOENT) || (folder && !lock && lock.get() != -ENOENT))
    return Predecessor::unknown;
  if (lock && sys::is_locked(lock.get())) return Predecessor::lives;
  const Fd record(sys::open_at(tasks_folder, (Text<80>() << id << kEntrySuffix).c_str(), O_RDONLY | O_NOFOLLOW));
  if (!record && record.get() != -ENOENT) return Predecessor::unknown;
  if (!record) return waits_in_queue(tasks_folder, id) ? Predecessor::unknown : Predecessor::gone;
  StatusFinder finder;
  char buffer[4096];
  for (long at = 0, n = 0; (n = sys::read_at(record.get(), buffer, sizeof buffer, at)) != 0; at += n) {
    if (n < 0 && n != -EINTR) return Predecessor::unknown;
    if (n < 0) n = 0;
    finder.feed({buffer, static_cast<unsigned long>(n)});
  }
  return as_recorded(finder.status(), lock);
}

std::string_view in_words(Predecessor ended) {
  switch (ended) {
    case Predecessor::failed: return "ended as failed";
    case Predecessor::timed_out: return "ended as timed_out";
    case Predecessor::killed: return "ended as killed";
    case Predecessor::lost: return "was lost";
    default: return "is not there any more";
  }
}

int connect_to_runner(int tasks_folder, std::string_view id) {
  const Fd folder(sys::open_at(tasks_folder, (Text<80>() << id).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (!folder) return folder.get();
  Fd socket(sys::checked(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
  if (!socket) return socket.get();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto name = Text<sizeof address.sun_path>() << "/proc/self/fd/" << folder.get() << "/" << kControlSocket;
  std::memcpy(address.sun_path, name.c_str(), name.view().size() + 1);
  const int e = sys::checked(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
  return e < 0 ? e : socket.release();
}

void StatusFinder::feed(std::string_view text) {
  for (const char c : text) {
    if (found_bytes_ > 0) return;
    if (in_string_) {
      if (!escaped_ && c == '"') {
        in_string_ = false;
        end_string();
        continue;
      }
      escaped_ = !escaped_ && c == '\\';
      if (bytes_ < kLongest) text_[bytes_] = c;
      ++bytes_;
      continue;
    }
    switch (c) {
      case '"':
        in_string_ = true;
        bytes_ = 0;
        break;
      case '{':
      case '[': ++depth_; break;
      case '}':
      case ']': --depth_; break;
      case ':': is_value_ = true; break;
      case ',': is_value_ = false; break;
      default: break;
    }
  }
}

void StatusFinder::end_string() {
  if (depth_ != 1 || bytes_ > kLongest) {
    if (depth_ == 1) is_status_ = false;
    return;
  }
  if (!is_value_) {
    is_status_ = std::string_view(text_, bytes_) == "status";
  } else if (is_status_) {
    std::memcpy(found_, text_, bytes_);
    found_bytes_ = bytes_;
  }
}

}  // namespace runner
