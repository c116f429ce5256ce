#pragma once

#include "contract/hook_events.h"
#include "runner/os/fd.h"
#include "runner/processes/child.h"
#include "runner/record/record.h"

#include <string_view>

namespace runner {

using perdure::contract::HookEvent;

/// Runs the hooks of a launch (docs/guide/hooks.md). The task does not wait for hooks, and holds no lock while one
/// runs: a separate process, the keeper, runs the hooks for the event, all at once, each with its time limit (L34).
class Hooks {
 public:
  Hooks(const Spec& spec, std::string_view task_id, const Inherited& inherited)
      : spec_(spec), task_id_(task_id), inherited_(inherited) {}

  /// The caller keeps both alive; the folder may be opened later.
  void open(const char* session, const Fd& task_folder) {
    session_ = session;
    folder_ = &task_folder;
  }

  /// Makes hooks.log if a hook wants the event. Call while runner.lock is held, so that a process that removes the task
  /// afterwards sees the file.
  void prepare(HookEvent event);

  /// Returns at once: the pid of the keeper, a child; 0 if no hook wants the event or fork failed.
  [[nodiscard]] int tell(HookEvent event, const Facts& facts);

  /// Runs the hooks of a specification for a single event; call after prepare(). Returns when all have exited.
  void tell_here();

 private:
  [[nodiscard]] bool wants(HookEvent event) const;
  void let_go_of_everything();
  [[nodiscard]] int write_news(HookEvent event, const Facts& facts) const;
  void run_all(HookEvent event, int news);
  void note_failure(HookEvent event, const char* doing, int error) const;

  const Spec& spec_;
  std::string_view task_id_;
  const Inherited& inherited_;
  const char* session_ = "";
  const Fd* folder_ = nullptr;
  Fd log_;
};

/// The event of a terminal status.
[[nodiscard]] HookEvent hook_event_of(std::string_view status);

}  // namespace runner
