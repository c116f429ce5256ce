#pragma once

// The words spoken on tasks/<id>/control, a stream socket of the same user, one line each way.
//
//   wait                                -> "ended" once the terminal record is committed, or a hang-up
//   stop GRACE_MS REASON                -> "ok" at once; GRACE_MS -1: the task's own; REASON ASCII, escaped as in JSON, may be empty
//   stop-quietly GRACE_MS REASON        -> the same, and the owner is not notified (L45)
//   stop-owned GRACE_MS OWNER           -> "ok" if the task's owner is OWNER (then it is being stopped), else "no"
//   end-leftovers GRACE_MS              -> "ok"; for a task that has ended and left processes behind; else "no"
//   signal NUMBER                       -> "ok" or "error ERRNO"; to the command's process group
//   output                              -> "output STREAM_BYTES DROPPED_BYTES UNSTORED_BYTES"
//
// The answer to a launch, on kAnswerFd:
//
//   running PID STARTED_MS              the command runs, the record is durable
//   limit HELD CAP                      refused by the cap; nothing ran
//   exec ERRNO | cwd ERRNO              the command could not be started
//   failed ERRNO WHAT                   the runner could not do WHAT
//
// A hang-up means: look at runner.lock, then at the record.
namespace perdure::contract {

inline constexpr char kWait[] = "wait";
inline constexpr char kStop[] = "stop";
inline constexpr char kStopQuietly[] = "stop-quietly";
inline constexpr char kStopOwned[] = "stop-owned";
inline constexpr char kEndLeftovers[] = "end-leftovers";
inline constexpr char kSignal[] = "signal";
inline constexpr char kOutput[] = "output";

inline constexpr char kEnded[] = "ended";
inline constexpr char kOk[] = "ok";
inline constexpr char kNo[] = "no";

inline constexpr long kMaxLine = 8192;

}  // namespace perdure::contract
