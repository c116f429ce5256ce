#include "rpc/table/method.h"

namespace perdure::rpc {
namespace {

// The record's keys (docs/internals/disk-format.md). Later versions may add keys.
constexpr Field kTask[] = {
    {"taskId", "string", "its id", true},
    {"kind", "string", "process, agent or question; another program's word otherwise", true},
    {"description", "string", "for people", true},
    {"status", "queued|running|completed|failed|timed_out|killed|lost", "from completed on it never changes again",
     true},
    {"detached", "boolean", "false: a foreground caller waits, or waited to the end, for it"},
    {"startedAt", "integer?", "ms since the epoch; null while it is queued", true},
    {"endedAt", "integer?", "ms since the epoch; null while it runs", true},
    {"command", "string", "of a process"},
    {"pid", "integer", "of a process; 0: unknown"},
    {"exitCode", "integer?", "of a process; null: unknown, or ended by a signal"},
    {"signal", "integer", "the signal that ended the command"},
    {"stopReason", "string", "why it was stopped, or why it failed"},
    {"timeoutMs", "integer", "its deadline, from timeoutFrom or the start; 0: none"},
    {"timeoutFrom", "integer", "ms since the epoch"},
    {"idleTimeoutMs", "integer", "without output for so long it times out"},
    {"timedOutBy", "string", "idle: not the deadline, but idleTimeoutMs"},
    {"agentId", "string", "of a subagent: names the conversation, and is never a task id"},
    {"subagentType", "string", "of a subagent: which agent"},
    {"model", "string", "of a subagent"},
    {"questionCount", "integer", "of a question"},
    {"questionOutcome", "answered|dismissed|expired|withdrawn", "of a question that has ended"},
    {"owner", "string", "who is notified of its end"},
    {"labels", "{string}", "labels of the starter's own"},
    {"lifetime", "detached|session", "session: session.close stops it"},
    {"cwd", "string", "where it runs"},
    {"name", "string", "given to it; at most one live task has it"},
    {"queuedAt", "integer", "ms since the epoch: when it began to wait for a slot"},
    {"queuePlace", "integer", "1 is the next to start"},
    {"after", "string",
     "ids of the tasks that it follows, with blanks between; `~` before one that may end in any way"},
    {"idempotencyKey", "string", "the key of its start"},
    {"restart", "on-failure|always", "its command is started again when it has ended"},
    {"restartMax", "integer", "how often at most; absent: no limit"},
    {"attempts", "Attempts", "of `restart`: those that have ended"},
    {"outputBytes", "integer", "bytes that it printed"},
    {"droppedBytes", "integer", "bytes of the output that were not kept"},
    {"lostEvidence", "string", "why it counts as lost"},
    {"leftovers", "integer", "processes that outlived the command"},
    {"startedSeq", "integer", "number of its task.started event"},
    {"endedSeq", "integer", "number of its task.terminated event"},
    {"runnerGone", "boolean", "its runner was killed; session.reconcile ends what is left"},
    {"unverified", "boolean", "running by its record, and nothing here can prove or disprove it"},
    {"unrecordedEnd", "string", "it has ended and the disk refuses the record; how it ended, and why"},
};

constexpr Field kAttempt[] = {
    {"startedAt", "integer", "ms since the epoch", true},         {"endedAt", "integer", "ms since the epoch", true},
    {"exitCode", "integer?", "null: a signal ended it", true},    {"signal", "integer", "the signal that ended it"},
    {"outputOffset", "integer", "where its output begins", true},
};
constexpr Field kAttempts[] = {
    {"count", "integer", "how many have ended", true},
    {"last", "Attempt[]", "the last 20 at most, the newest last", true},
};

constexpr Field kRow[] = {
    {"id", "string", "its id", true},
    {"kind", "string", "process, agent, question", true},
    {"status", "queued|running|completed|failed|timed_out|killed|lost", "", true},
    {"description", "string", "for people", true},
    {"startedAt", "integer?", "ms since the epoch", true},
    {"endedAt", "integer?", "ms since the epoch", true},
    {"durationMs", "integer?", "from its start to its end, or to now", true},
    {"exitCode", "integer", ""},
    {"signal", "integer", ""},
    {"owner", "string", ""},
    {"agentId", "string", ""},
    {"outputBytes", "integer", "of one that has ended"},
    {"queuePlace", "integer", "1 is the next to start"},
    {"flags", "string[]", "unverified, runnerGone, leftovers, undelivered", true},
};

constexpr Field kCounts[] = {
    {"queued", "integer", "", true}, {"running", "integer", "", true},   {"completed", "integer", "", true},
    {"failed", "integer", "", true}, {"timed_out", "integer", "", true}, {"killed", "integer", "", true},
    {"lost", "integer", "", true},
};

constexpr Field kTerminal[] = {
    {.name = "rows", .type = "integer", .help = "default 24", .least = 1, .most = 65535},
    {.name = "columns", .type = "integer", .help = "default 80", .least = 1, .most = 65535},
};

constexpr Field kGap[] = {
    {"at", "integer", "offset of the first byte that was not kept", true},
    {"bytes", "integer", "how many were not kept", true},
};

constexpr Field kOutputSummary[] = {
    {"outputPath", "string?", "absolute path of the log; null: it printed nothing that was kept", true},
    {"outputSizeBytes", "integer", "bytes of the stream so far", true},
    {"previewBytes", "integer", "bytes in preview", true},
    {"truncated", "boolean", "the preview is not the whole output", true},
    {"fullOutputAvailable", "boolean", "every byte of the stream is in the log", true},
    {"droppedBytes", "integer", "bytes that were not kept", true},
    {"missingBytes", "integer", "bytes that were stored and are no longer in the log, because it was deleted or cut",
     true},
    {"preview", "string", "the end of the output", true},
    {"nextOffset", "integer", "where the next read goes on", true},
    {"eof", "boolean", "nothing more will come", true},
};

constexpr Field kHit[] = {
    {"id", "string", "of the task", true},
    {"offset", "integer", "of the match", true},
    {"length", "integer", "bytes of the match", true},
    {"line", "integer", "from 1; absent where it was not counted"},
    {"text", "string", "of its line, at most 512 bytes around it", true},
};

constexpr Field kOption[] = {
    {"label", "string", "what the answer is when it is chosen", true},
    {"description", "string", "what choosing it means"},
};

constexpr Field kQuestion[] = {
    {"question", "string", "the text; unique among those asked together", true},
    {"header", "string", "a short title, at most 12 characters"},
    {"options", "Option[]", "2 to 4; none: an answer in one's own words"},
    {"multi_select", "boolean", "several labels may be chosen"},
    {"default", "string", "what an empty answer, or the deadline, means"},
};

constexpr Field kAnswer[] = {
    {"answers", "{string}", "by the question's text; empty: it was dismissed", true},
    {"note", "string", "why it was dismissed"},
};

constexpr Field kNotification[] = {
    {"id", "string", "`task:<taskId>:<status>`, or `lost:...` of several", true},
    {"type", "string", "`task.<status>`, or `tasks.lost`", true},
    {"source_kind", "string", "background_task or session", true},
    {"source_id", "string", "the task's id, or the session's folder", true},
    {"agentId", "string?", "of a subagent", true},
    {"owner", "string?", "whose task it was", true},
    {"status", "string", "how it ended", true},
    {"exitCode", "integer?", "", true},
    {"signal", "integer?", "", true},
    {"reason", "string?", "why it was stopped", true},
    {"title", "string", "one line", true},
    {"severity", "info|warning|error", "", true},
    {"body", "string", "a few sentences", true},
    {"outputPath", "string?", "absolute path of the log", true},
    {"outputBytes", "integer", "bytes that it printed", true},
    {"preview", "string", "the last 1,024 bytes of the output at most", true},
    {"tasks", "string[]", "ids of its tasks", true},
};

constexpr Field kVerdict[] = {
    {"taskId", "string", "", true},
    {"before", "string", "status by the record", true},
    {"status", "string", "status now", true},
    {"changed", "boolean", "this call wrote the record", true},
    {"evidence", "string?", "why it is lost", true},
    {"explained", "string", "what was checked, and the result", true},
};

constexpr Field kFinding[] = {
    {"level", "note|problem", "", true},
    {"what", "string", "which file or task", true},
    {"text", "string", "the problem, and what to do", true},
};

constexpr Field kSession[] = {
    {"path", "string", "absolute path of its folder", true},
    {"program", "string", "whose records: perdure or kimi", true},
    {"counts", "Counts", "tasks by status", true},
    {"lastChange", "integer", "ms since the epoch of the last start or end; 0: none", true},
};

constexpr Field kProcess[] = {
    {"pid", "integer", "", true},
    {"ppid", "integer", "", true},
    {"command", "string", "its command line", true},
    {"state", "string", "one letter, as in /proc/PID/stat", true},
    {"startedAt", "integer", "ms since the epoch", true},
    {"cpuMs", "integer", "processor time so far", true},
    {"rss", "integer", "bytes of memory", true},
};

constexpr Field kAgent[] = {
    {"name", "string", "for agent.start", true},
    {"commands", "string[]", "the command lines that are tried, in this order", true},
    {"permission", "allow|deny|ask", "what it hears when it asks", true},
};

constexpr Field kExecutor[] = {
    {"name", "string", "of its definition", true},
    {"type", "ssh|slurm", "", true},
    {"place", "string", "the host, the transport or the folder", true},
    {"trusted", "boolean", "false: it stands in the session's perdure.toml, which this user does not trust yet", true},
};

constexpr Field kFilter[] = {
    {"ids", "string[]", "only these tasks"},
    {"status", "string[]", "only tasks of these statuses"},
    {"kind", "string[]", "only tasks of these kinds"},
    {"owner", "string", "only this owner's tasks"},
    {"label", "string", "NAME or NAME=VALUE"},
    {"text", "string", "in the id, the description or the command"},
    {.name = "since", .type = "integer", .help = "started at or after that, ms since the epoch"},
    {.name = "until", .type = "integer", .help = "started before that, ms since the epoch"},
};

constexpr Field kClient[] = {
    {"name", "string", ""},
    {"version", "string", ""},
};

constexpr Field kVersions[] = {
    {.name = "min", .type = "integer", .help = "", .required = true, .least = 1},
    {.name = "max", .type = "integer", .help = "", .required = true, .least = 1},
};

constexpr Field kCapabilities[] = {
    {"events", "boolean", "events.subscribe", true},
    {"agents", "boolean", "agent.start", true},
    {"attach", "boolean", "task.attach", true},
    {"writeId", "boolean", "task.write is deduplicated by writeId", true},
    {"limits", "object", "longest line and window, in bytes", true},
};

constexpr Shape kShapes[] = {
    {"Task", "A task, as in its record. Keys that are not listed here may be present.", kTask},
    {"Row", "A task in a list.", kRow},
    {"Attempt", "One run of the command of a task that is restarted.", kAttempt},
    {"Attempts", "The runs of the command of a task that is restarted.", kAttempts},
    {"Counts", "Number of tasks by status.", kCounts},
    {"Filter", "Which tasks.", kFilter},
    {"Terminal", "Size of a terminal.", kTerminal},
    {"Gap", "Bytes of the output that were not kept.", kGap},
    {"OutputSummary", "The end of a task's output, as `perdure show --json` prints it.", kOutputSummary},
    {"Hit", "A match in a log.", kHit},
    {"Option", "One of the answers that are offered.", kOption},
    {"Question", "One thing to be asked.", kQuestion},
    {"Answer", "What was answered.", kAnswer},
    {"Notification", "The notification that a task has ended, for its owner.", kNotification},
    {"Verdict", "What reconcile found out about a task.", kVerdict},
    {"Finding", "One thing that doctor found.", kFinding},
    {"Session", "A folder of tasks.", kSession},
    {"Process", "A living process of a task.", kProcess},
    {"Agent", "An agent that can be started.", kAgent},
    {"Executor", "Where tasks can run besides this machine.", kExecutor},
    {"Versions", "A range of protocol numbers.", kVersions},
    {"Program", "A program and its version.", kClient},
    {"Capabilities", "What this server can do.", kCapabilities},
};

constexpr Field kEvent[] = {
    {"subscription", "string", "from events.subscribe", true},
    {"seq", "integer", "grows within a session; 0: the event has no number", true},
    {"type", "task.started|task.updated|task.terminated", "", true},
    {"time", "integer", "ms since the epoch", true},
    {"task", "Task", "as it was then"},
    {"row", "Row", "instead of task, where rows were asked for"},
    {"outputTail", "string", "of task.terminated: the last 1,024 bytes of the output at most"},
};

constexpr Field kPlace[] = {
    {"subscription", "string", "from events.subscribe", true},
    {"seq", "integer", "the last number that was delivered", true},
};

constexpr Field kFailure[] = {
    {"subscription", "string", "from events.subscribe", true},
    {"message", "string", "why", true},
};

constexpr Field kStreamedHit[] = {
    {"search", "string", "`stream` of the call", true},
    {"id", "string", "of the task", true},
    {"offset", "integer", "of the match", true},
    {"length", "integer", "bytes of the match", true},
    {"line", "integer", "from 1; absent where it was not counted"},
    {"text", "string", "of its line, at most 512 bytes around it", true},
};

constexpr Field kChunk[] = {
    {"attachment", "string", "from task.attach", true},
    {"data", "string", "base64", true},
    {"offset", "integer", "of the first byte", true},
    {"nextOffset", "integer", "of the first byte behind it", true},
    {"size", "integer", "bytes of the stream so far: what lies behind nextOffset comes next", true},
    {"gap", "Gap", "bytes before `offset` that were not kept, or were dropped while this client was slow"},
};

constexpr Field kAttachmentEnded[] = {
    {"attachment", "string", "from task.attach", true},
    {"task", "Task", "as it ended"},
    {"message", "string", "instead: why nothing more can be read"},
};

constexpr Field kSearchProgress[] = {
    {"search", "string", "`stream` of the call", true},
    {"id", "string", "of the task whose log is being read", true},
    {"bytes", "integer", "of it that were read", true},
};

constexpr Announcement kAnnouncements[] = {
    {"task.chunk",
     "What an attached task printed. The next chunk is read from the log once this one was taken: a slow client costs "
     "the server no memory.",
     kChunk},
    {"task.attachment.ended",
     "The attachment has ended: the task has, and all it printed was sent; or it can't be read.", kAttachmentEnded},

    {"task.search.hit", "Found by a task.search with `stream`, before its answer.", kStreamedHit},
    {"task.search.progress", "How far a task.search with `stream` has come: each 64 MiB of a log.", kSearchProgress},
    {"event", "Something happened to a task. Events of one task are in order.", kEvent},
    {"reset",
     "After a subscription with `since`: the session has tasks of other programs, whose events have no numbers and "
     "cannot be asked for again. List the tasks to see what happened to them.",
     kPlace},
    {"overflow",
     "The client took nothing for 10 s and too much was waiting: the subscription ended. Subscribe again "
     "with `since`.",
     kPlace},
    {"failure", "The session cannot be watched any more: the subscription ended.", kFailure},
};

}  // namespace

std::span<const Shape> all_shapes() {
  return kShapes;
}

std::span<const Announcement> all_announcements() {
  return kAnnouncements;
}

}  // namespace perdure::rpc
