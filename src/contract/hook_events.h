#pragma once

#include <cstdint>

// The events of a hook (docs/guide/hooks.md) as bits of a mask. The manager that launches a task works out which events
// each hook wants, since the runner has no regular expressions; the runner only tests bits.
namespace perdure::contract {

enum HookEvent : std::uint32_t {
  hook_started = 1,
  hook_completed = 2,
  hook_failed = 4,
  hook_timed_out = 8,
  hook_killed = 16,
  hook_lost = 32,
};

struct HookEventName {
  HookEvent event;
  const char* name;
};
inline constexpr HookEventName kHookEvents[] = {
    {hook_started, "task.started"},     {hook_completed, "task.completed"}, {hook_failed, "task.failed"},
    {hook_timed_out, "task.timed_out"}, {hook_killed, "task.killed"},       {hook_lost, "task.lost"},
};

// In the environment of a hook instead of PERDURE_TASK_ID: a hook is not part of its task.
inline constexpr char kEventVariable[] = "PERDURE_EVENT";           // one of the names above
inline constexpr char kEventTaskVariable[] = "PERDURE_EVENT_TASK";  // the task's id

inline constexpr char kSourceKind[] = "background_task";  // of a notification

}  // namespace perdure::contract
