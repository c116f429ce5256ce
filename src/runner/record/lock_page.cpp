#include "runner/record/lock_page.h"

#include "contract/lock_page.h"
#include "contract/names.h"
#include "runner/os/text.h"
#include "runner/record/record.h"

namespace runner {

using namespace perdure::contract;

int LockPage::open(int task_folder, std::string_view task_id) {
  file_ = Fd(sys::open_at(task_folder, kRunnerLock, O_RDWR | O_CREAT | O_NOFOLLOW));
  if (!file_) return file_.get();
  if (const int e = sys::lock(file_.get(), false); e < 0) return e == -EACCES ? -EAGAIN : e;
  held_ = true;
  static char page[kLockPageBytes];
  if (sys::write_at(file_.get(), page, sizeof page, 0) != kLockPageBytes) return -ENOSPC;
  const auto holder = Text<kHolderBytes>()
                      << static_cast<long>(::getpid()) << " " << Record::start_ticks() << " " << task_id << "\n";
  sys::write_at(file_.get(), holder.c_str(), holder.view().size(), kHolderAt);
  return 0;
}

void LockPage::note_key(std::string_view key) {
  if (static_cast<long>(key.size()) < kKeyBytes) sys::write_at(file_.get(), key.data(), key.size(), kKeyAt);
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
