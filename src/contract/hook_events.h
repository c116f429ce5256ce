#pragma once

#include <cstdint>

// What a hook may want to be told of (docs/guide/hooks.md), as bits of a mask. Who launches a task decides which hook wants
// what, since the runner has no regular expressions; the runner only looks at bits.
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

// In the environment of a hook, instead of PERDURE_TASK_ID: a hook is no part of its task.
inline constexpr char kEventVariable[] = "PERDURE_EVENT";           // one of the names above
inline constexpr char kEventTaskVariable[] = "PERDURE_EVENT_TASK";  // the task's id

inline constexpr char kSourceKind[] = "background_task";  // of a notification

}  // namespace perdure::contract
