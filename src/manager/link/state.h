#pragma once

#include "store/session.h"
#include <perdure/manager.h>

#include <atomic>
#include <memory>

namespace perdure {

namespace manager {
class EventWatch;
class Claims;
class InProcessService;
class HeldTasks;
class Telemetry;
class FarContact;
}  // namespace manager

/// What a TaskManager and its handles share. The event watch, the claims, the telemetry and the held tasks have locks
/// of their own; the other members never change.
struct __attribute__((visibility("hidden"))) SessionState {
  SessionState(ManagerOptions given, store::Session opened);
  ~SessionState();

  ManagerOptions options;
  store::Session session;
  std::unique_ptr<manager::EventWatch> events;
  std::unique_ptr<manager::Claims> claims;
  std::shared_ptr<manager::Telemetry> telemetry;
  std::unique_ptr<manager::InProcessService> in_process;  // destroyed early: its tasks end before the members above
  std::unique_ptr<manager::HeldTasks> held;
  std::unique_ptr<manager::FarContact> far;  // follows tasks on other hosts; destroyed before the members that it uses
  std::atomic<bool> closed = false;

  /// Errors: session_closed (L48).
  [[nodiscard]] Result<> check_open() const;

  /// May this process start, signal, recover or write here (L49)? Checks the session once, at the first call.
  /// Errors: session_closed, session_unusable.
  [[nodiscard]] Result<> check_may_act() const;

  /// check_may_act(), and restarts the killed runners of queued tasks (L50), once.
  [[nodiscard]] Result<> act_and_revive() const;

  /// As TaskManager::get().
  [[nodiscard]] Result<Task> get(const TaskId& id) const;

  mutable std::atomic<bool> is_own = false, has_revived = false;
};

}  // namespace perdure
