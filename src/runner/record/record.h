#pragma once

#include "runner/os/fd.h"
#include "runner/os/text.h"

#include <cstdint>
#include <string_view>

namespace runner {

/// One run of a command that is restarted.
struct AttemptFacts {
  std::int64_t started_ms = 0, ended_ms = 0, output_offset = 0;
  int exit_code = -1, signal = 0;
};

/// What the runner observed. Numbers below zero mean "not known" and are not written, except exitCode, which is null.
struct Facts {
  std::string_view status = "running";
  [[nodiscard]] bool has_ended() const { return status != "running"; }
  bool detached = true;
  std::int64_t started_ms = 0;
  std::int64_t ended_ms = -1;
  std::int64_t timeout_ms = 0;
  bool is_question = false;           // there is no command, so no pid and no exitCode
  bool is_agent = false;              // the command is a driver, whose exit code is not recorded
  std::string_view note;              // members from a subagent's driver
  std::string_view question_outcome;  // of an answered or closed question
  std::int64_t timeout_from_ms = 0;   // above 0: timeout_ms counts from then, not from the start
  bool timed_out_by_idle = false;
  int pid = 0;
  int exit_code = -1;
  int signal = 0;
  std::string_view reason;  // escaped as in JSON
  bool quiet = false;       // terminalNotificationSuppressed
  std::int64_t started_seq = -1, ended_seq = -1;
  std::int64_t output_bytes = -1, dropped_bytes = 0, dropped_at = 0, unstored_bytes = 0;
  bool may_drop = false;  // write droppedAt although nothing was dropped yet
  int leftovers = 0;
  std::string_view cgroup;  // escaped as in JSON; empty: no cgroup of its own
  const int* survivors = nullptr;
  int survivor_count = 0;
  static constexpr int kAttempts = 20;
  int attempt_count = 0;             // of a command that is restarted: attempts that have ended
  AttemptFacts attempts[kAttempts];  // of these the last, number N at N % kAttempts
};

/// The record of this task. Only this class writes it while runner.lock is held.
class Record {
 public:
  /// `constant`: the members that the manager prepared; the caller keeps them alive. `note_room`: the maximum length of
  /// Facts::note.
  /// `identity`: members that say where it runs (identity.h); "" for a question.
  void set_identity(std::string_view identity) { identity_ = identity; }
  void open(int tasks_folder, int task_folder, std::string_view task_id, std::string_view constant, long note_room = 0);

  /// Writes, syncs and renames. 0 or -errno; on failure the old record stands.
  [[nodiscard]] int commit(const Facts& facts, int outbox = -1);

  /// Writes the record as it would be committed into an empty file. 0 or -errno.
  [[nodiscard]] int write_to(int file, const Facts& facts) const;

  /// Sets disk space aside for the next commit, so that a disk that fills up meanwhile cannot refuse it.
  int reserve_next();

  /// The members that the last commit() wrote after the constant part, from the comma to the closing brace.
  [[nodiscard]] static std::string_view committed_members();

  void remove();
  /// Removes the space set aside for the next commit, and the file that a failed commit left.
  void drop_next();
  static std::int64_t start_ticks();

 private:
  [[nodiscard]] long write(int file, const Facts& facts) const;

  int tasks_ = -1, folder_ = -1;
  std::string_view constant_, identity_;
  long note_room_ = 0;
  Text<80> name_;
  Fd next_;
};

/// The next number of the session's events: microseconds since the epoch, or the last number plus one.
std::int64_t next_seq(int session_folder);

}  // namespace runner
