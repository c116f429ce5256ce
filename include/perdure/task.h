#pragma once

#include <perdure/error.h>

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace perdure {

/// Names one task in its session: `^[a-z0-9]+(?:-[a-z0-9]+)*-[0-9a-z]{8}$`, at most 64 characters,
/// or, for the tasks of the oldest builds, `^[a-z0-9][a-z0-9-]{1,24}$`. Always valid once made.
class TaskId {
 public:
  /// Errors: task_id_empty, task_id_invalid.
  [[nodiscard]] PERDURE_API static Result<TaskId> parse(std::string_view text);

  [[nodiscard]] const std::string& str() const { return text_; }
  /// True for an id that a record file `<id>.json` may have; false for one that only the oldest shape allows.
  [[nodiscard]] PERDURE_API bool has_record_form() const;
  /// The same for a text that need not be an id at all.
  [[nodiscard]] PERDURE_API static bool names_record(std::string_view text);
  auto operator<=>(const TaskId&) const = default;

 private:
  explicit TaskId(std::string text) : text_(std::move(text)) {}
  std::string text_ = {};
};

/// Names one subagent; never the same thing as the id of the task that runs it.
struct AgentId {
  std::string text = {};
  auto operator<=>(const AgentId&) const = default;
};

enum class Kind {
  process,
  agent,
  question,
  other  ///< kept and listed, but nothing is known about it; Task::kind_name has the word
};

/// Where a task is in its life. All from `completed` on are terminal and never change again.
enum class Status { queued, running, completed, failed, timed_out, killed, lost };

[[nodiscard]] constexpr bool is_terminal(Status status) {
  return status >= Status::completed;
}
[[nodiscard]] PERDURE_API std::string_view name_of(Status status);
[[nodiscard]] PERDURE_API std::optional<Status> status_from(std::string_view name);
[[nodiscard]] PERDURE_API std::string_view name_of(Kind kind);

/// The shape a record was read in. Anything written is written as `current`.
enum class Shape { current, legacy, kimi_cli };

/// Why a task may be called lost (rule L39). Exactly the words of the key `lostEvidence`.
enum class Evidence { runner_killed, rebooted, never_started, process_gone, adopted, engine_gone, node_fail };
[[nodiscard]] PERDURE_API std::string_view name_of(Evidence evidence);

/// How a question ended, by name: `answered` and `dismissed` are completed, `expired` is timed_out, `withdrawn` is killed.
enum class QuestionOutcome { answered, dismissed, expired, withdrawn };
[[nodiscard]] PERDURE_API std::string_view name_of(QuestionOutcome outcome);

/// What a question's deadline does: nothing, answer it with the defaults, or end it.
enum class OnDeadline { wait, take_default, expire };
/// "wait", "default", "expire".
[[nodiscard]] PERDURE_API std::string_view name_of(OnDeadline policy);

/// A process that cannot be mistaken for another one: pids are reused, start times are not.
struct ProcessIdentity {
  std::int64_t pid = 0;
  std::int64_t start_ticks = 0;  ///< field 22 of /proc/PID/stat
  auto operator<=>(const ProcessIdentity&) const = default;
};

/// Which folder a session is, however it is called: a copy has another one. Decimal numbers, as text, since other
/// programs that rewrite a record may round large numbers.
struct FolderIdentity {
  std::string inode = {};
  std::optional<std::string> birth_time = {};  ///< ns since the epoch; absent where the file system has none
  bool operator==(const FolderIdentity&) const = default;
};

/// By which this user vouches for what a session's files want to run (L51).
struct Signature {
  std::string key = {};    ///< names the key
  std::string value = {};  ///< HMAC-SHA-256, in hex
  bool operator==(const Signature&) const = default;
};

/// A point in time, as records have it: milliseconds of the system's clock.
using TimePoint = std::chrono::sys_time<std::chrono::milliseconds>;

/// Where a task runs that does not run on this machine (`perdure run --on`), and what was last heard of it there. The
/// record is a mirror then: the truth is the record at that place.
struct ExecutorState {
  std::string name = {}, type = {};       ///< of the configuration: "gpu", "ssh"
  std::string token = {};                 ///< names the task there, unique per task
  std::optional<std::string> place = {};  ///< id of the task or job there; absent: not known yet
  std::optional<std::string> node = {};   ///< host name
  std::optional<std::string> machine_id = {}, boot_id = {};
  std::optional<std::string> state = {}, reason = {}, exit = {};  ///< the engine's last words, as it said them
  std::optional<TimePoint> submitted_at = {}, started_at = {};
  std::optional<TimePoint> seen_at = {};       ///< when it was last heard of
  std::optional<TimePoint> silent_since = {};  ///< nothing is heard since; absent: no contact failed
  std::optional<std::string> late = {};        ///< how it ended at the place after it was called lost here
};

/// What a command is, and how it ended. Also of a subagent: its driver is a process.
struct ProcessFacts {
  std::string command = {};
  std::int64_t pid = 0;                        ///< 0: not known
  std::optional<int> exit_code = {};           ///< absent: unknown, or ended by a signal; never guessed (L17, L18)
  std::optional<int> signal = {};              ///< the signal that ended the command itself
  std::optional<int> stop_signal = {};         ///< what asks it to end; absent: SIGTERM
  std::optional<std::string> input = {};       ///< "pipe", "terminal" or "inherited"; absent: none
  std::vector<std::int64_t> survivors = {};    ///< pids that outlived SIGKILL
  std::optional<std::int64_t> leftovers = {};  ///< processes that ran on after a natural end
  std::optional<std::int64_t> unread_processes = {};  ///< lost: processes that could not be looked at
};

/// What is known of a subagent and its turn.
struct AgentFacts {
  std::optional<AgentId> id = {};
  std::optional<std::string> type = {};  ///< name of its definition
  std::optional<std::string> model = {};
  std::optional<std::string> thinking_effort = {};
  std::optional<std::string> stop_code = {};  ///< why a turn failed, as the agent named it: "refusal", "max_tokens"
  std::map<std::string, std::int64_t> usage = {};  ///< of the turn, as the agent counts: "inputTokens", "totalTokens"
};

/// What is known of a question; Questions::get() has its text.
struct QuestionFacts {
  std::optional<std::int64_t> count = {};
  std::optional<std::string> tool_call_id = {};
  std::optional<OnDeadline> on_deadline = {};   ///< of a question that Perdure asked, and of no other
  std::optional<QuestionOutcome> outcome = {};  ///< of one that has ended
};

struct Limits {
  std::optional<std::int64_t> timeout_ms = {};       ///< 0 or absent: no deadline
  std::optional<TimePoint> timeout_from = {};        ///< timeout_ms counts from then; absent: the start
  std::optional<std::int64_t> idle_timeout_ms = {};  ///< without output for so long it is ended; 0 or absent: never
  std::optional<std::int64_t> memory_max = {};       ///< of all its processes together: bytes,
  std::optional<std::int64_t> cpu_max_milli = {};    ///< thousandths of a processor,
  std::optional<std::int64_t> pids_max = {};         ///< processes and threads
  std::optional<std::string> cgroup = {};  ///< which has them in force; absent: they are limits of each process
};

struct OutputFacts {
  std::optional<std::int64_t> bytes = {};
  std::optional<std::int64_t> dropped_bytes = {};
  std::optional<std::int64_t> dropped_at = {};      ///< offset of the first dropped byte
  std::optional<std::int64_t> unstored_bytes = {};  ///< refused by the disk (L25)
};

struct QueueFacts {
  std::optional<TimePoint> queued_at = {};  ///< when it began to wait for a slot (L05)
  std::optional<int> priority = {};         ///< 0 to 999, the higher the sooner; absent: 0
  std::optional<std::string> after = {};    ///< id of the task whose completion it waits, or waited, for
  std::optional<int> place =
      {};  ///< queued: 1 is the next to start; absent while it waits for another task. Never written
};

/// One run of the command of a task that is restarted.
struct Attempt {
  TimePoint started_at = {}, ended_at = {};
  std::optional<int> exit_code = {}, signal = {};  ///< as of ProcessFacts
  std::int64_t output_offset = 0;                  ///< where its output begins
};

/// Of a task whose command is started again when it ends (I31).
struct RestartFacts {
  std::optional<std::string> policy = {};  ///< "on-failure" or "always"; absent: it is not restarted
  std::optional<std::int64_t> most = {};   ///< restarts at most; absent: no limit
  std::int64_t count = 0;                  ///< attempts that have ended
  std::vector<Attempt> last = {};          ///< of these the last 20 at most, the newest last
};

/// Who runs the task, and where.
struct HostFacts {
  std::optional<ProcessIdentity> runner = {};
  std::optional<std::string> boot_id = {};
  std::optional<std::string> machine_id = {};
  std::optional<std::string> name = {};           ///< of the host; shown, never compared
  std::optional<std::string> pid_namespace = {};  ///< inode of the runner's /proc/self/ns/pid
  std::optional<FolderIdentity> session_folder = {};
  std::optional<bool> in_process = {};  ///< work of the program named by `runner`, no process of its own
};

/// What the task was asked for with.
struct Origin {
  std::optional<std::string> parent_tool_call_id = {};
  std::optional<std::string> lifetime = {};  ///< "detached" or "session"
  std::optional<std::string> cwd = {};
  std::optional<std::string> idempotency_key = {};
};

/// How the news of its end reaches its owner and others.
struct NotificationFacts {
  std::optional<bool> suppressed = {};  ///< its owner is not told
  std::optional<bool> resume_reminded = {};
  std::optional<TimePoint> notified_at = {};
  std::optional<std::string> channel = {};       ///< by which the owner was told
  std::optional<std::string> delivered_by = {};  ///< "tasks": its owner polls it over MCP and is notified by that
  std::vector<std::string> on_end = {};          ///< commands that are told of its end
  std::optional<Signature> signature = {};       ///< over on_end
};

/// What reading a record found out besides; never written.
struct Findings {
  Shape shape = Shape::current;
  bool runner_gone = false;  ///< its runner was killed and its processes are still being ended (L39)
  bool unverified = false;   ///< running by its record, and nothing here can prove or disprove it
  /// It has ended, by its runner's notes, and the disk refuses the record: "ended (exit 3); the disk is full, ...".
  /// The status is still running. The runner tries again each second.
  std::optional<std::string> unrecorded_end = {};
  bool paused = false;         ///< running, and its first process was stopped by a signal, as by Ctrl-Z
  bool existing = false;       ///< start() did not start it: it was there under that name
  bool same_command = false;   ///< of an existing one: it is what start() was asked to run, in the same folder
  bool has_leftovers = false;  ///< ended, and processes that it started live on; found by ListFilter::leftovers
  std::string source = {};     ///< absolute path of the record
  std::string raw = {};        ///< the record as it was read, unknown keys included; empty for a new one
};

/// Everything a record says about one task, and what reading it found out besides. A plain value. What belongs to one
/// kind of task, or to one matter, is a group; the key of the record stands in docs/internals/disk-format.md.
struct Task {
  TaskId id;
  Kind kind = Kind::process;
  std::string kind_name = "process";
  std::string description = {};
  std::optional<std::string> name = {};  ///< given to it; at most one live task of a session has it (L65)
  std::optional<std::string> owner = {};
  std::map<std::string, std::string> labels = {};

  Status status = Status::running;
  bool detached = true;       ///< false: a foreground caller is, or was to the end, waiting for it
  TimePoint started_at = {};  ///< of a queued task the epoch
  std::optional<TimePoint> ended_at = {};
  std::optional<std::string> stop_reason = {};   ///< rule L46
  std::optional<std::string> timed_out_by = {};  ///< "idle": not the deadline, but idle_timeout_ms
  std::optional<Evidence> lost_evidence = {};
  std::optional<bool> recovered = {};            ///< the outcome was found in the runner's lock file after its death
  std::optional<std::int64_t> started_seq = {};  ///< place of `task.started` among the session's events
  std::optional<std::int64_t> ended_seq = {};    ///< place of `task.terminated`

  ProcessFacts process = {};
  AgentFacts agent = {};
  QuestionFacts question = {};
  Limits limits = {};
  OutputFacts output = {};
  QueueFacts queue = {};
  RestartFacts restart = {};
  HostFacts host = {};
  Origin origin = {};
  NotificationFacts notification = {};
  std::optional<ExecutorState> executor = {};  ///< it runs elsewhere; absent: here
  Findings found = {};
};

/// The record in the current shape, compact, unknown keys in their old places (L19, L21).
[[nodiscard]] PERDURE_API std::string record_json(const Task& task);

}  // namespace perdure
