#pragma once

// The requests on tasks/<id>/control, a stream socket for the same user, one line each way.
//
//   wait [ID]                           -> "ended" once the terminal record is committed, or a hang-up; ID: the task
//                                          inside which the waiter runs
//   waiters                             -> "waiters ID...": the tasks that wait for this one
//   release                             -> "detached" or "timeout-detached" when a foreground task is detached, "ended" when it
//                                          ends
//   started                             -> "started" once it is no longer queued
//   look                                -> "record HEAD AT..." of a foreground task, with descriptors; else "no"
//   detach TIMEOUT_MS                   -> "ok" or "error ERRNO"; "no" when it is not in the foreground; -1: as launched
//   stop GRACE_MS REASON                -> "ok" at once; GRACE_MS -1: the task's own; REASON ASCII, escaped as in JSON, may be empty
//   stop-quietly GRACE_MS REASON        -> the same, and the owner is not notified (L45)
//   stop-owned GRACE_MS OWNER           -> "ok" if the task's owner is OWNER (then it is being stopped), else "no"
//   settle answered|dismissed FILE      -> "ok" once FILE of the task's folder is the answer of the question, "no" if it was
//                                          closed already, or "error ERRNO"
//   end-leftovers GRACE_MS              -> "ok", then "ended" when they have; for a task that has ended and left processes
//                                          behind; else "no"
//   note MEMBERS                        -> "ok" once they are in the record, "no": the task is no subagent, or has ended;
//                                          or "error ERRNO". JSON members, ASCII, agentId (if any) first; they replace
//                                          earlier ones
//   outcome completed|failed|broke REASON -> "ok": the subagent's turn ended by itself and its outcome is decided;
//                                          "no": an earlier cause decided. REASON as of stop. "broke" is an error, which
//                                          after a stop is an effect of the stop (L14)
//   signal NUMBER                       -> "ok" or "error ERRNO"; to the command's process group
//   extend TIMEOUT_MS                   -> "ok": the deadline counts from now, 0: there is none; "no": it has ended;
//                                          "error ERRNO": the record could not be written, and nothing changed
//   input                               -> "pipe" or "terminal" with a descriptor (SCM_RIGHTS) to write to; "null": the
//                                          command has no input; "closed": no more; "no": it has ended
//   type ID SUM OFFSET HEX              -> "typed BYTES": so many of this write's bytes are typed by now. ID: 32 hex digits
//                                          that name the write, SUM: 16 that stand for its data, HEX: data from OFFSET on.
//                                          What lies before BYTES is not typed again, and what does not fit into the
//                                          input comes again. "differs": ID came with another SUM; "forgotten": OFFSET is
//                                          not 0 and ID is not known any more; "null", "closed", "no" as of input; "error ERRNO"
//   close-input                         -> "ok"; the command reads the end of its input once all writers are gone
//   yield                               -> "ok": it waits in the queue, and leaves its place there to another runner; it has
//                                          let go of runner.lock already. "no": it waits no more
//   output                              -> "output STREAM_BYTES DROPPED_BYTES UNSTORED_BYTES"
//
// The answer to an unknown request is "error 38 unknown request", and to a malformed one "error 22 expected: FORM".
// "error 22" alone: an argument has an invalid value, such as a reason that contains an unescaped quote.
//
// A foreground task has no record. Its "ended" and the answer to `look` carry descriptors: a file that holds the record,
// then, if HEAD is 1, output.log, then one segment for each AT (output_marker.h). "ended" is followed by HEAD, too.
//
// The answer to a launch, on kAnswerFd:
//
//   running PID STARTED_MS [MEMBERS]    the command runs, the record is durable; MEMBERS: what the record has behind its
//                                       constant members, from the comma to the closing brace (not in the foreground)
//   queued                              it waits, and its entry in queue/ is durable
//   limit HELD CAP                      refused by the cap; nothing ran
//   waiting COUNT CAP                   refused since COUNT tasks wait for a slot; nothing ran
//   exec ERRNO | cwd ERRNO              the command could not be started
//   failed ERRNO WHAT                   the runner could not do WHAT
//
// After a hang-up: read runner.lock, then the record.
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
inline constexpr char kType[] = "type";
inline constexpr char kYield[] = "yield";
inline constexpr char kCloseInput[] = "close-input";

// Sent to clients that wait for the end, once for each attempt: the task has ended, and the disk refuses its record
// (lock_page.h). Read the lock page, then send `wait` again.
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
inline constexpr char kTyped[] = "typed";
inline constexpr char kDiffers[] = "differs";
inline constexpr char kForgotten[] = "forgotten";

inline constexpr long kMaxLine = 8192;
inline constexpr long kWriteIdDigits = 32, kWriteSumDigits = 16;
// Less than PIPE_BUF: a pipe takes all of it or nothing.
inline constexpr long kMaxTyped = 3072;
// A runner remembers so many writes by their ID, the latest.
inline constexpr int kRememberedWrites = 128;

}  // namespace perdure::contract
