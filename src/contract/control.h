#pragma once

// The words spoken on tasks/<id>/control, a stream socket of the same user, one line each way.
//
//   wait [ID]                           -> "ended" once the terminal record is committed, or a hang-up; ID: the task
//                                          inside which the waiter runs
//   waiters                             -> "waiters ID...": the tasks that wait for this one
//   release                             -> "detached" or "timeout-detached" when a foreground task is, "ended" when it ends
//   started                             -> "started" once it is queued no more
//   look                                -> "record HEAD AT..." of a foreground task, with descriptors; else "no"
//   detach TIMEOUT_MS                   -> "ok" or "error ERRNO"; "no" when it is not in the foreground; -1: as launched
//   stop GRACE_MS REASON                -> "ok" at once; GRACE_MS -1: the task's own; REASON ASCII, escaped as in JSON, may be empty
//   stop-quietly GRACE_MS REASON        -> the same, and the owner is not notified (L45)
//   stop-owned GRACE_MS OWNER           -> "ok" if the task's owner is OWNER (then it is being stopped), else "no"
//   settle answered|dismissed FILE      -> "ok" once FILE of the task's folder is the answer of the question, "no" where it
//                                          is decided already, or "error ERRNO"
//   end-leftovers GRACE_MS              -> "ok", then "ended" when they have; for a task that has ended and left processes
//                                          behind; else "no"
//   note MEMBERS                        -> "ok" once they are in the record, "no": it is no subagent's, or is decided; or
//                                          "error ERRNO". JSON members, ASCII, agentId (if any) first; they replace those before
//   outcome completed|failed|broke REASON -> "ok": the subagent's turn ended so by itself, and nothing else decides any
//                                          more; "no": something else did. REASON as of stop. "broke" is an error, which
//                                          after a stop is an effect of the stop (L14)
//   signal NUMBER                       -> "ok" or "error ERRNO"; to the command's process group
//   extend TIMEOUT_MS                   -> "ok": the deadline counts from now, 0: there is none; "no": it has ended;
//                                          "error ERRNO": the record could not be written, and all is as it was
//   input                               -> "pipe" or "terminal" with a descriptor (SCM_RIGHTS) to write to; "null": the
//                                          command has no input; "closed": no more; "no": it has ended
//   close-input                         -> "ok"; the command reads the end of its input once all writers are gone
//   yield                               -> "ok": it waits in the queue, and leaves its place there to another runner; it has
//                                          let go of runner.lock already. "no": it waits no more
//   output                              -> "output STREAM_BYTES DROPPED_BYTES UNSTORED_BYTES"
//
// Anything else is answered "error 38 unknown request", and a request that is not written as above
// "error 22 expected: FORM"; "error 22" alone: an argument must not be so, such as a reason with a bare quote in it.
//
// A foreground task has no record. Its "ended" and the answer to `look` carry descriptors: a file that holds the record,
// then, if HEAD is 1, output.log, then one segment for each AT (output_marker.h). "ended" has HEAD behind it too.
//
// The answer to a launch, on kAnswerFd:
//
//   running PID STARTED_MS              the command runs, the record is durable
//   queued                              it waits, and its entry in queue/ is durable
//   limit HELD CAP                      refused by the cap; nothing ran
//   waiting COUNT CAP                   refused since so many wait for a slot already; nothing ran
//   exec ERRNO | cwd ERRNO              the command could not be started
//   failed ERRNO WHAT                   the runner could not do WHAT
//
// A hang-up means: look at runner.lock, then at the record.
namespace perdure::contract {

inline constexpr char kWait[] = "wait";
inline constexpr char kWaiters[] = "waiters";
inline constexpr char kRelease[] = "release";
inline constexpr char kStarted[] = "started";
inline constexpr char kLook[] = "look";
inline constexpr char kDetach[] = "detach";
inline constexpr char kStop[] = "stop";
inline constexpr char kStopQuietly[] = "stop-quietly";
inline constexpr char kStopOwned[] = "stop-owned";
inline constexpr char kSettle[] = "settle";
inline constexpr char kEndLeftovers[] = "end-leftovers";
inline constexpr char kNote[] = "note";
inline constexpr char kOutcome[] = "outcome";
inline constexpr char kOwnerEnded[] = "The task that owns it has ended";  // the reason of stop-owned
inline constexpr char kTurnCompleted[] = "completed";
inline constexpr char kTurnFailed[] = "failed";
inline constexpr char kTurnBroke[] = "broke";
inline constexpr char kSignal[] = "signal";
inline constexpr char kOutput[] = "output";
inline constexpr char kExtend[] = "extend";
inline constexpr char kInput[] = "input";
inline constexpr char kYield[] = "yield";
inline constexpr char kCloseInput[] = "close-input";

// Sent to who waits for the end, once for each try: it has ended, and the disk refuses its record (lock_page.h). Look,
// then wait anew.
inline constexpr char kRefused[] = "refused";
inline constexpr char kEnded[] = "ended";
inline constexpr char kQueuedAnswer[] = "queued";
inline constexpr char kDetached[] = "detached";
inline constexpr char kTimeoutDetached[] = "timeout-detached";
inline constexpr char kRecord[] = "record";
inline constexpr char kOk[] = "ok";
inline constexpr char kError[] = "error";
inline constexpr char kNo[] = "no";
inline constexpr char kPipe[] = "pipe";
inline constexpr char kTerminal[] = "terminal";
inline constexpr char kNull[] = "null";
inline constexpr char kClosed[] = "closed";

inline constexpr long kMaxLine = 8192;

}  // namespace perdure::contract
