#pragma once

#include "contract/names.h"
#include "contract/outcome.h"
#include "runner/admission/place.h"
#include "runner/admission/spec.h"
#include "runner/control/control.h"
#include "runner/control/request.h"
#include "runner/hooks/hooks.h"
#include "runner/hooks/queue_restart.h"
#include "runner/life.h"
#include "runner/loop.h"
#include "runner/output/output.h"
#include "runner/processes/child.h"
#include "runner/processes/processes.h"
#include "runner/record/durable.h"

namespace runner {

/// One task from its launch to its end. Call launch() once, then supervise() once.
class Run {
 public:
  /// `entry_name`: if this process replaces the killed runner of a queued task, the task's file in queue/; else "".
  Run(Spec& spec, std::string_view task_id, std::string_view entry_name, const Inherited& inherited)
      : spec_(spec),
        task_id_(task_id),
        inherited_(inherited),
        processes_(task_id),
        place_{.entry_name = entry_name},
        hooks_(spec, task_id, inherited),
        life_{.caller = spec.header->mode == perdure::contract::SpecMode::foreground ? Caller::waits : Caller::none} {}

  /// Starts or queues the command, and answers. False: it answered with an error; nothing runs and nothing is left on
  /// disk. `answer` stays open for a foreground task only, as the connection to its caller.
  [[nodiscard]] bool launch(const char* session, Fd answer);

  /// Returns when the task has ended, its record is committed and no leftover is being watched.
  void supervise();

  /// The exit status that stands for the task's outcome, as that of `perdure wait`.
  [[nodiscard]] int exit_status() const;

 private:
  // Why there was no slot.
  struct Refusal {
    int held = 0;     // slots held, as many as the cap
    int waiting = 0;  // tasks before it in the queue
  };
  static constexpr int kMostFiles = perdure::contract::kMostSegments + 2;

  using Cause = perdure::contract::Cause;
  struct Folders {
    Fd session, tasks, task;
  };
  // Used while the task is in the foreground.
  struct CallerFiles {
    Fd connection;
    Fd record;  // opened early for the record, in case descriptors run out
  };

  static Event event_of(const request::Stop& stop) {
    return stop.cause == Cause::stop_quietly ? Event::stop_quietly : Event::stop;
  }

  void answer_running(int fd) const;
  int admit(const char*& doing, Refusal& refusal);
  int open_folders(const char*& doing);
  void clear_away();
  void watch_caller(Fd caller);
  int prepare(const char*& doing);
  int start_command(const char*& doing, ExecFailure& failure);
  int watch_everything();

  // Foreground (foreground.cpp)
  enum class Released { by_request, by_deadline };
  int detach(Released how, long timeout_ms);
  void on_caller();
  void on_stream();
  void drop_stream();
  void pass_on(int leftovers);
  void detach_at_deadline();
  void try_again_to_detach();
  int collect_files(int record, int (&fds)[kMostFiles], Text<1024>& line) const;
  void end_in_foreground();
  void release_with_record();
  void tell_end_with_files();

  // Queue (parked.cpp)
  int park(const char*& doing);
  void try_to_start();
  [[nodiscard]] bool may_follow();
  void await(std::string_view id, const char* word);
  void make_room();
  void start_parked();
  void end_parked();

  // The next attempt (restart.cpp)
  [[nodiscard]] bool may_restart() const { return spec_.header->restart != perdure::contract::SpecRestart::never; }
  [[nodiscard]] bool restarts_after_exit() const;
  void note_attempt();
  void end_attempt();
  void rest();
  void arm_rest();
  void restart();
  [[nodiscard]] long deadline_left_ms() const;

  // Subagents (agent.cpp)
  [[nodiscard]] bool is_agent() const { return spec_.header->command == perdure::contract::SpecCommand::agent; }
  void know_agent(std::string_view members);
  void say_silent();
  void note_turn(std::string_view reason);
  [[nodiscard]] perdure::contract::Causes causes() const;
  void follow_driver();

  // Requests (requests.cpp, foreground.cpp)
  void on_client(int client, unsigned events);
  void on_request(int client, const request::Bad& wanted);
  void on_request(int client, const request::Wait& wanted);
  void on_request(int client, const request::Waiters& wanted);
  void on_request(int client, const request::Started& wanted);
  void on_request(int client, const request::Release& wanted);
  void on_request(int client, const request::Look& wanted);
  void on_request(int client, const request::Detach& wanted);
  void on_request(int client, const request::Stop& wanted);
  void on_request(int client, const request::StopOwned& wanted);
  void on_request(int client, const request::Settle& wanted);
  void on_request(int client, const request::EndLeftovers& wanted);
  void on_request(int client, const request::Note& wanted);
  void on_request(int client, const request::TurnEnded& wanted);
  void on_request(int client, const request::Signal& wanted);
  void on_request(int client, const request::Extend& wanted);
  void on_request(int client, const request::Input& wanted);
  void on_request(int client, const request::Type& wanted);
  void on_request(int client, const request::CloseInput& wanted);
  void on_request(int client, const request::Figures& wanted);
  void on_request(int client, const request::Yield& wanted);

  void on_output();
  void on_signals();
  void on_timer();
  void on_idle();

  // Data of an event that its actions need.
  struct Details {
    std::string_view reason;  // of the cause; escaped as in JSON
    long grace_ms = 0;
    int leftovers = 0;
  };
  /// next() and its actions: the only place at which life_ changes.
  void apply(Event event, const Seen& seen, const Details& details);
  void apply(Event event) { apply(event, seen(), {}); }
  void act(Actions actions, const Details& details);
  [[nodiscard]] Seen seen() const;
  void look_at_children();
  void end(Event why, std::string_view reason, long grace_ms);
  void end_as_wished();
  void end_by_engine();
  void note_wish(Cause cause, std::string_view reason);
  void terminate_tree(long grace_ms);
  [[nodiscard]] int stop_signal() const {
    return spec_.header->stop_signal != 0 ? static_cast<int>(spec_.header->stop_signal) : SIGTERM;
  }
  /// The grace of the request, or the task's own.
  [[nodiscard]] long grace_of(long wanted_ms) const { return wanted_ms < 0 ? spec_.header->grace_ms : wanted_ms; }
  void end_others();
  void decide(std::string_view reason);
  void kill_tree();
  void evaluate();
  void settle(int leftovers);
  void commit();
  long pump(long most);
  void finish();
  void tell_hooks(HookEvent event);

  Spec& spec_;
  std::string_view task_id_;
  const Inherited& inherited_;
  Folders folders_;
  Loop loop_;
  Deadlines deadlines_;
  Processes processes_;
  Output output_;
  Place place_;
  Durable durable_;
  Control control_;
  Hooks hooks_;
  QueueRestart queue_restart_;
  CallerFiles caller_;
  // Of a command that is restarted: where its present attempt began, the delay behind it, and when that is over.
  struct Restarts {
    std::int64_t started_ms = 0, output_offset = 0;
    std::int64_t delay_ms = 0, rests_until_ms = 0;
  };
  Restarts restarts_;
  Life life_;
};

}  // namespace runner
