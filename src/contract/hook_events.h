#pragma once

#include <cstdint>

// What a hook may want to be told of (docs/hooks.md), as bits of a mask. Who launches a task decides which hook wants
// what, since the runner has no regular expressions; the runner only looks at bits.
namespace perdure::contract {

enum HookEvent : std::uint32_t {
  kHookStarted = 1,
  kHookCompleted = 2,
  kHookFailed = 4,
  kHookTimedOut = 8,
  kHookKilled = 16,
  kHookLost = 32,
};

struct HookEventName {
  HookEvent event;
  const char* name;
};
inline constexpr HookEventName kHookEvents[] = {
    {kHookStarted, "task.started"},    {kHookCompleted, "task.completed"}, {kHookFailed, "task.failed"},
    {kHookTimedOut, "task.timed_out"}, {kHookKilled, "task.killed"},       {kHookLost, "task.lost"},
};

// In the environment of a hook, instead of PERDURE_TASK_ID: a hook is no part of its task.
inline constexpr char kEventVariable[] = "PERDURE_EVENT";           // one of the names above
inline constexpr char kEventTaskVariable[] = "PERDURE_EVENT_TASK";  // the task's id

inline constexpr char kSourceKind[] = "background_task";  // of a notification

}  // namespace perdure::contract
