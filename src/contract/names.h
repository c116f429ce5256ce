#pragma once

// Every name on disk that the runner and the manager agree on. docs/internals/disk-format.md explains each.
namespace perdure::contract {

inline constexpr char kConfigFile[] = "perdure.toml";
inline constexpr char kTasksDir[] = "tasks";
inline constexpr char kAgentsDir[] = "agents";  // other programs: agents/<agentId>/tasks
inline constexpr char kSlotsDir[] = "slots";
inline constexpr char kKeysDir[] = "keys";  // idempotency keys, hex, each holding a task id
inline constexpr char kSeqFile[] = "seq";   // the counter behind the seq of events: 8 bytes, shared memory
inline constexpr char kQueueDir[] = "queue";
inline constexpr char kOutboxDir[] = "outbox";  // an empty file <taskId> for each undelivered notification
inline constexpr char kNamesDir[] = "names";    // names of live tasks, hex, each holding a task id
inline constexpr char kActiveDir[] = "active";  // an empty file <taskId> for each task that may be live
// In active/: names the boot under which the index was completed.
inline constexpr char kActiveComplete[] = ".complete";
inline constexpr char kEndedIds[] = ".ended";  // in active/: ids of ended tasks, one a line; a cache
inline constexpr char kFarDir[] =
    "far";  // a file <taskId> for each task that runs elsewhere and has not ended by its record
inline constexpr char kConversationsLock[] = "conversations.lock";  // held while a subagent's conversation is resumed
inline constexpr char kSweptFile[] = "swept";  // empty; its mtime is the last time that ended tasks were swept
inline constexpr char kAdmissionLock[] = "admission.lock";  // in queue/; held while slots are counted
inline constexpr char kFollowerPrefix[] = "after-";         // in queue/: waits for a task first
inline constexpr char kHoweverItEnds = '~';                 // before the id of a task that may end in any way
inline constexpr char kEntrySuffix[] = ".json";
inline constexpr long kMostPriority = 999;

// In tasks/<id>/
inline constexpr char kOutputFile[] = "output.log";
inline constexpr char kQuestionFile[] = "question.json";   // the questions; the answer is output.log
inline constexpr char kAgentFile[] = "agent.json";         // the plan of a subagent
inline constexpr char kActivityFile[] = "activity.jsonl";  // what it did, except its final message
inline constexpr char kFarFile[] = "far.json";             // what was sent elsewhere, signed
inline constexpr char kStartFile[] = "start";              // what it was started with, signed, for rerun
inline constexpr char kDraftPrefix[] = "answer.";          // an answer that is written but not given yet
inline constexpr char kRunnerLock[] = "runner.lock";
inline constexpr char kLeftoverLock[] = "leftover.lock";
inline constexpr char kControlSocket[] = "control";
inline constexpr char kInputLock[] = "input.lock";  // held by the process that types into the task; holds its pid
inline constexpr char kHiddenPrefix[] = ".";      // before output.log and tail.<offset> of a foreground task, see docs
inline constexpr char kHooksLog[] = "hooks.log";  // what hooks printed, and how they ended
inline constexpr char kStopWish[] =
    "stop.wish";  // a stop for a runner that can't be reached: "GRACE_MS QUIET\nREASON\n"
inline constexpr char kNextRecord[] = "record.next";  // becomes tasks/<id>.json by rename

// Environment of every process of a command: the task's id (of a 0.1 task: "<taskId>@<session>"), its session, and its
// random key, which distinguishes its processes from those of others (L52).
inline constexpr char kTaskVariable[] = "PERDURE_TASK_ID";
inline constexpr char kSessionVariable[] = "PERDURE_SESSION";
inline constexpr char kKeyVariable[] = "PERDURE_TASK_KEY";
inline constexpr char kRunnerVariable[] =
    "PERDURE_RUNNER";  // "<taskId>@<session>", in the runner's own environment only
// In the environment of a runner that a batch engine started as the job itself (docs/internals/runner.md, "In place"):
// when the job has to end, in seconds since the epoch; 0: unknown.
inline constexpr char kInPlaceVariable[] = "PERDURE_IN_PLACE";
// Variables that such an engine sets for its job: they are passed on to the command.
inline constexpr const char* kEngineVariables[] = {
    "SLURM_", "CUDA_VISIBLE_DEVICES=", "ROCR_VISIBLE_DEVICES=", "ZE_AFFINITY_MASK=", "GPU_DEVICE_ORDINAL=", "TMPDIR="};

inline constexpr char kCgroupPrefix[] = "perdure-";  // and the task's id: the name of its cgroup

inline constexpr long kDefaultGraceMs = 5'000;
inline constexpr long kMaxNoteBytes = 4'096;    // the members that a subagent's driver adds to the record
inline constexpr long kMaxReasonBytes = 3'400;  // escaped, as ASCII; one page of runner.lock must hold it

}  // namespace perdure::contract
