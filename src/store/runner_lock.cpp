#include "store/runner_lock.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "base/try.h"
#include "codec/unescape.h"
#include "contract/lock_page.h"
#include "contract/names.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <ctime>
#include <sstream>

namespace perdure::store {

using namespace contract;

namespace {

Result<bool> is_held(const Session& session, const TaskId& id, const char* name) {
  const std::string path = session.folder_path(id) + "/" + name;
  auto folder = session.open_folder(id);
  if (!folder) {
    if (folder.error().os_error == ENOENT) return false;
    return std::unexpected(folder.error());
  }
  auto file = open_at(folder->get(), name, O_RDONLY, path);
  if (!file) {
    if (file.error().os_error == ENOENT) return false;
    return std::unexpected(file.error());
  }
  return is_locked_by_another(file->get(), path);
}

// A field of the page: the bytes up to its first NUL.
std::string_view field(std::string_view page, long at, long bytes) {
  if (page.size() < static_cast<std::size_t>(at)) return {};
  const std::string_view whole = page.substr(static_cast<std::size_t>(at), static_cast<std::size_t>(bytes));
  return whole.substr(0, whole.find('\0'));
}

std::string_view take_word(std::string_view& text) {
  const auto end = text.find_first_of(" \n");
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return word;
}

template <class T = std::int64_t>
std::optional<T> take_number(std::string_view& text) {
  const std::string_view word = take_word(text);
  T value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (word.empty() || error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

}  // namespace

Result<bool> is_runner_alive(const Session& session, const TaskId& id) {
  return is_held(session, id, kRunnerLock);
}

int refusal_of(const Session& session, const TaskId& id) {
  auto folder = session.open_folder(id);
  if (!folder) return 0;
  const auto file = open_at(folder->get(), kRunnerLock, O_RDONLY, kRunnerLock);
  char note[kRefusedBytes] = {};
  if (!file || ::pread(file->get(), note, sizeof note - 1, kRefusedAt) <= 0) return 0;
  return std::atoi(note);  // NOLINT(cert-err34-c): what is no number is no refusal
}

Result<bool> has_leftovers(const Session& session, const TaskId& id) {
  return is_held(session, id, kLeftoverLock);
}

RunnerNotes read_runner_notes(const Session& session, const TaskId& id) {
  RunnerNotes notes;
  auto folder = session.open_folder(id);
  if (!folder) return notes;
  const auto page = read_regular_file(folder->get(), kRunnerLock, kLockPageBytes, kRunnerLock);
  if (!page || page->size() != kLockPageBytes) return notes;

  std::string_view holder = field(*page, kHolderAt, kHolderBytes);
  const auto pid = take_number(holder);
  const auto ticks = take_number(holder);
  if (pid && ticks) notes.holder = ProcessIdentity{*pid, *ticks};
  notes.key = std::string(field(*page, kKeyAt, kKeyBytes));
  notes.gate_opened = (*page)[kGateAt] == 'G';
  notes.out_of_memory = (*page)[kMemoryAt] == 'M';

  std::string_view refused = field(*page, kRefusedAt, kRefusedBytes);
  notes.refused = take_number<int>(refused).value_or(0);

  std::string_view exit = field(*page, kExitAt, kExitBytes);
  const bool by_signal = take_word(exit) == "signal";
  const auto value = take_number<int>(exit);
  const auto exit_ms = take_number(exit);
  if (value && exit_ms) notes.exit = RunnerNotes::Exit{by_signal, *value, *exit_ms};

  std::string_view decision = field(*page, kDecisionAt, kDecisionBytes);
  const std::string_view cause = take_word(decision);
  const auto decided_ms = take_number(decision);
  if (!cause.empty() && decided_ms) {
    notes.decision = RunnerNotes::Decision{contract::cause_of(cause), *decided_ms, {}};
    notes.decision->reason = codec::unescape(decision.substr(0, decision.find('\n')));
  }
  return notes;
}

Result<std::optional<RunnerLock>> RunnerLock::take_within(const Session& session, const TaskId& id,
                                                          std::int64_t patience_ms) {
  const std::int64_t until = steady_ms() + patience_ms;
  while (true) {
    auto lock = take(session, id);
    if (!lock || *lock || steady_ms() >= until) return lock;
    const timespec a_moment{0, 1'000'000};
    ::nanosleep(&a_moment, nullptr);
  }
}

Result<std::optional<RunnerLock>> RunnerLock::take(const Session& session, const TaskId& id) {
  const std::string path = session.folder_path(id) + "/" + kRunnerLock;
  // The file was unlinked or replaced between opening and locking: try again.
  while (true) {
    TRY_VOID(make_folder_at(AT_FDCWD, session.folder_path(id), session.folder_path(id)));
    auto folder = session.open_folder(id);
    if (!folder) {
      if (folder.error().os_error == ENOENT) continue;
      return std::unexpected(folder.error());
    }
    auto file = open_at(folder->get(), kRunnerLock, O_RDWR | O_CREAT, path);
    if (!file) {
      if (file.error().os_error == ENOENT) continue;
      return std::unexpected(file.error());
    }
    TRY(auto taken, try_lock(file->get(), path));
    if (!taken) return std::nullopt;
    struct stat held{};
    struct stat named{};
    if (::fstat(file->get(), &held) == 0 && held.st_nlink > 0 &&
        ::fstatat(folder->get(), kRunnerLock, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino == held.st_ino)
      return RunnerLock(session, id, std::move(*folder), std::move(*file));
  }
}

Result<> RunnerLock::introduce(const ProcessIdentity& holder) {
  std::string page = fmt::format("{} {} {}\n", holder.pid, holder.start_ticks, id_.str());
  page.resize(kLockPageBytes, '\0');
  if (::pwrite(file_.get(), page.data(), page.size(), 0) != kLockPageBytes)
    return fail_errno("writing", session_.folder_path(id_) + "/" + kRunnerLock);
  return {};
}

void RunnerLock::note_gate() {
  static_cast<void>(!::pwrite(file_.get(), "G", 1, kGateAt));
}

void RunnerLock::note_exit(int exit_code, std::int64_t at_ms) {
  const std::string note = fmt::format("exit {} {}\n", exit_code, at_ms);
  static_cast<void>(!::pwrite(file_.get(), note.data(), note.size(), kExitAt));
}

void RunnerLock::note_decision(std::string_view cause, std::string_view escaped_reason, std::int64_t at_ms) {
  const std::string note = fmt::format("{} {}\n{}\n", cause, at_ms, escaped_reason);
  static_cast<void>(!::pwrite(file_.get(), note.data(), note.size(), kDecisionAt));
}

void RunnerLock::clean_up_and_release() {
  ::unlinkat(folder_.get(), kControlSocket, 0);
  ::unlinkat(folder_.get(), kNextRecord, 0);
  ::unlinkat(folder_.get(), kStopWish, 0);
  release();
}

void RunnerLock::release() {
  ::unlinkat(folder_.get(), kRunnerLock, 0);
  file_.reset();
  ::rmdir(session_.folder_path(id_).c_str());  // fails while a log is in it
}

}  // namespace perdure::store
