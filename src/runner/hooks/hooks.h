#pragma once

#include "contract/hook_events.h"
#include "runner/os/fd.h"
#include "runner/processes/child.h"
#include "runner/record/record.h"

#include <string_view>

namespace runner {

using perdure::contract::HookEvent;

/// Tells events to the hooks of a launch (docs/guide/hooks.md). Nobody waits for a hook, and nothing is held while one runs:
/// a process of its own, the keeper, runs those that want the event, all at once, each with its time limit (L34).
class Hooks {
 public:
  Hooks(const Spec& spec, std::string_view task_id, const Inherited& inherited)
      : spec_(spec), task_id_(task_id), inherited_(inherited) {}

  /// Both are kept by the caller; the folder may be opened later.
  void open(const char* session, const Fd& task_folder) {
    session_ = session;
    folder_ = &task_folder;
  }

  /// Makes hooks.log where a hook wants the event. While runner.lock is held, so that whoever removes the task
  /// afterwards sees the file.
  void prepare(HookEvent event);

  /// Returns at once: the pid of the keeper, a child; 0 where no hook wants the event or no process is to be had.
  [[nodiscard]] int tell(HookEvent event, const Facts& facts);

  /// Runs the hooks of a specification that is for one event only, after prepare(), and returns when all have ended.
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
