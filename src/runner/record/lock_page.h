#pragma once

#include "contract/outcome.h"
#include "runner/os/fd.h"

#include <cstdint>
#include <string_view>

namespace runner {

/// runner.lock: proof that this process lives, and the notes that survive its death (contract/lock_page.h).
class LockPage {
 public:
  /// Takes the lock and says who holds it. `key`: the task's random key, which identifies its processes (L52).
  /// 0 or -errno; -EAGAIN: another runner has it.
  [[nodiscard]] int open(int task_folder, std::string_view task_id, std::string_view key);
  void note_gate();
  void note_exit(int exit_code, int signal, std::int64_t at_ms);
  void note_out_of_memory();
  /// Notes that the disk refused the terminal record with this errno.
  void note_refusal(int error);
  /// Notes the cause. The first call counts; later ones are ignored.
  void note_decision(perdure::contract::Cause cause, std::string_view escaped_reason, std::int64_t at_ms);
  /// Replaces a noted stop: the subagent finished its turn within the grace (L14).
  void note_turn_end(bool quiet, std::string_view escaped_reason, std::int64_t at_ms);

  [[nodiscard]] bool is_held() const { return held_; }
  [[nodiscard]] int fd() const { return file_.get(); }
  void release() { file_.reset(); }

 private:
  void write_decision(perdure::contract::Cause cause, std::string_view escaped_reason, std::int64_t at_ms);

  Fd file_;
  bool held_ = false;
  bool decided_ = false;
};

}  // namespace runner
