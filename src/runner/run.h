#pragma once

#include "runner/child.h"
#include "runner/control.h"
#include "runner/lock_page.h"
#include "runner/log.h"
#include "runner/record.h"
#include "runner/slot.h"
#include "runner/spec.h"
#include "runner/tree.h"

namespace runner {

/// One task from its launch to its end. launch() once, then supervise() once.
class Run {
 public:
  Run(Spec& spec, std::string_view task_id, const Inherited& inherited)
      : spec_(spec), task_id_(task_id), inherited_(inherited), tree_(task_id) {}

  /// Starts the command and answers on `answer`. False: answered with an error, nothing runs, nothing is left.
  [[nodiscard]] bool launch(const char* session, int answer);

  /// Returns when the task has ended, its record is committed and nobody is left to look after.
  void supervise();

 private:
  // running:   the command runs
  // trailing:  it ended by itself; what it left behind or owned is ended or waited for
  // ending:    a stop, the deadline or the budget decided; everything is being ended
  // settled:   nothing can change any more; the record is being committed
  // leftovers: committed; processes that outlived the command still write and are looked after
  enum class Phase { running, trailing, ending, settled, leftovers, over };
  enum class Cause { none, exit, stop, deadline, output };
  enum class Source : unsigned { output = 1, signals, timer, listener, client };

  static std::uint64_t tag(Source source) { return static_cast<std::uint64_t>(source) << 32; }

  int prepare(const char*& doing);
  int start_command(const char*& doing, ExecFailure& failure);
  int watch_everything();

  void on_output();
  void on_signals();
  void on_timer();
  void on_client(int client, unsigned events);
  void handle(int client, std::string_view line);

  void look_at_children();
  void on_natural_end();
  void end(Cause cause, std::string_view cause_word, std::string_view reason, long grace_ms);
  void terminate_tree(long grace_ms);
  void kill_tree();
  void evaluate();
  void settle(int leftovers);
  void commit();
  void pump(long most);
  void finish();

  Spec& spec_;
  std::string_view task_id_;
  const Inherited& inherited_;
  Tree tree_;
  Fd session_, tasks_, folder_, output_, signals_, timer_, epoll_, leftover_lock_;
  Slot slot_;
  LockPage lock_;
  Control control_;
  Log log_;
  Record record_;
  Facts facts_;
  Phase phase_ = Phase::running;
  Cause cause_ = Cause::none;
  Text<3600> reason_;
  bool exited_ = false, waits_for_owned_ = false, killed_ = false;
  int commit_attempts_ = 0;
};

}  // namespace runner
