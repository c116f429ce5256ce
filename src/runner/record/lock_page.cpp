#include "runner/record/lock_page.h"

#include "contract/lock_page.h"
#include "contract/names.h"
#include "runner/os/text.h"
#include "runner/record/record.h"

namespace runner {

using namespace perdure::contract;

int LockPage::open(int task_folder, std::string_view task_id, std::string_view key) {
  file_ = Fd(sys::open_at(task_folder, kRunnerLock, O_RDWR | O_CREAT | O_NOFOLLOW));
  if (!file_) return file_.get();
  if (const int e = sys::lock(file_.get(), false); e < 0) return e == -EACCES ? -EAGAIN : e;
  held_ = true;
  static char zeros[kLockPageBytes];
  const auto holder = Text<kHolderBytes>()
                      << static_cast<long>(sys::own_pid()) << " " << Record::start_ticks() << " " << task_id << "\n";
  const std::string_view noted = first(key, static_cast<long>(key.size()) < kKeyBytes ? key.size() : 0);
  long bytes = 0;
  const auto part = [&](std::string_view text) {
    bytes += static_cast<long>(text.size());
    return iovec{const_cast<char*>(text.data()), text.size()};
  };
  const auto up_to = [&](long place) { return part({zeros, static_cast<unsigned long>(place - bytes)}); };
  static_assert(kHolderAt == 0 && kHolderBytes <= kKeyAt && kKeyAt + kKeyBytes <= kLockPageBytes);
  // A list in braces is worked off from left to right.
  const iovec parts[] = {part(holder.view()), up_to(kKeyAt), part(noted), up_to(kLockPageBytes)};
  return sys::write_parts_at(file_.get(), parts, 4, 0) == kLockPageBytes ? 0 : -ENOSPC;
}

void LockPage::note_gate() {
  sys::write_at(file_.get(), "G", 1, kGateAt);
}

void LockPage::note_exit(int exit_code, int signal, std::int64_t at_ms) {
  const auto note = Text<kExitBytes>() << (signal > 0 ? "signal " : "exit ")
                                       << static_cast<long>(signal > 0 ? signal : exit_code) << " " << at_ms << "\n";
  sys::write_at(file_.get(), note.c_str(), note.view().size(), kExitAt);
}

void LockPage::note_out_of_memory() {
  sys::write_at(file_.get(), "M", 1, kMemoryAt);
}

void LockPage::note_refusal(int error) {
  auto note = Text<kRefusedBytes>() << static_cast<long>(error);
  const std::string_view number = note.view();
  char field[kRefusedBytes] = {};
  for (unsigned long i = 0; i < number.size() && i + 1 < sizeof field; ++i) field[i] = number[i];
  sys::write_at(file_.get(), field, sizeof field, kRefusedAt);
}

void LockPage::note_decision(Cause cause, std::string_view escaped_reason, std::int64_t at_ms) {
  if (decided_) return;
  decided_ = true;
  write_decision(cause, escaped_reason, at_ms);
}

void LockPage::note_turn_end(bool quiet, std::string_view escaped_reason, std::int64_t at_ms) {
  decided_ = true;
  write_decision(quiet ? Cause::exit_quietly : Cause::exit, escaped_reason, at_ms);
}

void LockPage::write_decision(Cause cause, std::string_view escaped_reason, std::int64_t at_ms) {
  const auto note = Text<kDecisionBytes>() << word_of(cause) << " " << at_ms << "\n" << escaped_reason << "\n";
  sys::write_at(file_.get(), note.c_str(), note.view().size(), kDecisionAt);
}

}  // namespace runner
