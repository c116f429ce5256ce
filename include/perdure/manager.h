#pragma once

#include <perdure/cancellation.h>
#include <perdure/descriptor.h>
#include <perdure/event.h>
#include <perdure/executor.h>
#include <perdure/in_process.h>
#include <perdure/notification.h>
#include <perdure/output.h>
#include <perdure/question.h>
#include <perdure/task.h>
#include <perdure/telemetry.h>
#include <perdure/upkeep.h>

#include <functional>
#include <memory>
#include <span>

namespace perdure {

struct AgentDefinition;
struct AgentOptions;
namespace manager {
struct Work;
}

/// A command that runs when something happens to a task (docs/guide/hooks.md).
struct Hook {
  std::string command = {};          ///< for /bin/sh -c
  std::string matcher = {};          ///< ECMAScript regular expression, looked for in the event's name; empty: all
  std::chrono::seconds timeout{30};  ///< 1 to 600; then it is killed with all that it started
};

struct ManagerOptions {
  std::string session = {};  ///< folder of the session; made on the first start, never by a look-up (L47)
  std::string runner = {};  ///< path of perdure-runner; empty: $PERDURE_RUNNER_PATH, else beside the program or library
  std::optional<int> max_running_tasks = {};   ///< cap on background tasks (L01); absent: none. At least 1.
  std::chrono::milliseconds kill_grace{5000};  ///< where a task has none of its own: another program's, leftovers
  std::string telemetry_file = {};             ///< absolute; what happens to tasks, a JSON line each (L36); empty: off
  std::shared_ptr<TelemetrySink> telemetry = {};  ///< hears of what this manager takes part in; absent: off
  bool trust = false;            ///< for this manager onEnd of any record counts as signed (`reconcile --trust`)
  std::vector<Hook> hooks = {};  ///< for every task that is started, and those that are settled, from here
  std::shared_ptr<const std::map<std::string, AgentDefinition>> agents = {};  ///< by name; absent: the built-in ones
  std::shared_ptr<const std::map<std::string, ExecutorDefinition>> executors = {};  ///< by name; absent: none
};

enum class OnOutputLimit { truncate, stop };
enum class Leftovers { keep, kill, wait };
/// What the deadline of a foreground task does (L10).
enum class OnTimeout { stop, detach };

enum class Input {
  null,     ///< /dev/null; with a terminal: the terminal
  pipe,     ///< what open_input() writes to
  inherit,  ///< the descriptor StartOptions::input_fd itself; foreground only
};

/// What start() does where a live task has the name already.
enum class IfRunning { give_back, refuse, replace };

struct TerminalSize {
  unsigned short rows = 24, columns = 80;
};

/// When a command that has ended is started again, by the same task (I30).
struct RestartOptions {
  enum class When {
    never,
    on_failure,  ///< it exited with another code than 0, or a signal ended it
    always
  };
  When when = When::never;
  std::optional<int> most = {};           ///< how often at most; 0: no limit; absent: 10 with on_failure, else no limit
  std::chrono::milliseconds delay{1000};  ///< before the next attempt; doubled up to 60 s, reset after 10 s of life
};

/// What to run. One of `argv` and `shell_line` must be given.
struct StartOptions {
  std::vector<std::string> argv = {};  ///< the command and its arguments; argv[0] is looked up in the task's PATH
  std::optional<std::string> shell_line = {};  ///< run as `shell -c shell_line`
  std::string shell = "/bin/sh";
  std::string description = {};                 ///< for people; empty: made from the command
  std::string cwd = {};                         ///< absolute or relative to the caller; empty: the caller's
  std::map<std::string, std::string> env = {};  ///< added to the caller's environment
  bool clear_env = false;                       ///< start from an empty environment
  std::chrono::milliseconds timeout{0};         ///< 0: no deadline (L08)
  std::chrono::milliseconds idle_timeout{0};    ///< without output for so long it has timed out; 0: never
  Input input = Input::null;
  int input_fd = -1;                          ///< Input::inherit: what the command reads; stays the caller's
  std::optional<TerminalSize> terminal = {};  ///< a pseudo-terminal of its own, which also is its input
  std::int64_t memory_max = 0;  ///< bytes, of the command and all that it starts (docs/guide/limits.md); 0: no limit
  double cpu_max = 0;           ///< processors, from 0.01; 0: no limit
  std::int64_t pids_max = 0;    ///< processes and threads; 0: no limit
  std::chrono::milliseconds grace{5000};          ///< between SIGTERM and SIGKILL (L12)
  std::optional<std::int64_t> output_limit = {};  ///< bytes; 0: no limit; absent: 64 MiB when truncating, else none
  OnOutputLimit on_output_limit = OnOutputLimit::truncate;
  Leftovers leftovers = Leftovers::keep;  ///< what happens to processes that outlive a natural end
  RestartOptions restart = {};            ///< of background tasks only
  std::optional<std::string> owner = {};
  std::optional<std::string> tool_call_id = {};
  std::optional<std::string> delivered_by = {};  ///< the channel that will notify the owner, so that no other does
  std::map<std::string, std::string> labels = {};
  std::optional<std::string> idempotency_key = {};  ///< 1 to 120 bytes (L06)
  std::optional<std::string> name = {};             ///< `[A-Za-z][A-Za-z0-9._-]{0,62}`, no id, no kind (L65)
  IfRunning if_running = IfRunning::give_back;
  int stop_signal = 0;                   ///< what asks it to end; 0: SIGTERM
  bool session_lifetime = false;         ///< true: session close stops it (L16)
  bool sync_output = false;              ///< fsync the log before the terminal record
  std::vector<std::string> on_end = {};  ///< commands for /bin/sh -c that run when it ends (docs/guide/hooks.md)

  // In the foreground: no slot (L02), and nothing on disk until it is detached (L27). Not together with `queue`,
  // `after` or `idempotency_key`.
  bool detached = true;  ///< false: this manager waits for it: wait_for_release()
  OnTimeout on_timeout = OnTimeout::stop;
  std::optional<std::chrono::milliseconds> detach_timeout = {};  ///< the deadline once detached; 0: none (L11, L44)
  int stream_fd = -1;  ///< a pipe that is given the output as it comes, besides the log; stays the caller's

  // In the queue (L05)
  bool queue = false;              ///< over the cap: wait for a slot instead of a refusal
  int priority = 0;                ///< 0 to 999, the higher the sooner; those of the same priority in their order
  std::vector<TaskId> after = {};  ///< start when all have completed; if one does not, end as killed. Implies queue.
  std::vector<TaskId> after_any = {};  ///< start when all have ended, in whichever way. Implies queue.

  // Elsewhere (docs/guide/elsewhere.md)
  std::string on = {};                             ///< name of an executor; "": here
  int cpus = 0;                                    ///< slurm: processors; 0: as the executor has it
  std::string gpus = {};                           ///< slurm: "2" or "a100:2"
  std::string partition = {};                      ///< slurm
  std::chrono::milliseconds time_limit{0};         ///< slurm: of the job; 0: by the timeout, else the partition's
  std::vector<std::string> executor_options = {};  ///< slurm: further options of sbatch
};

struct RerunOptions {
  std::optional<IfRunning> if_running = {};  ///< absent: a live task is an error
  bool queue = false;                        ///< as of StartOptions
  int priority = 0;
  std::optional<std::string> idempotency_key = {};
};

/// What changes of a task that waits in the queue. What is absent stays.
struct EditOptions {
  std::vector<std::string> argv = {};  ///< another command: one of argv and shell_line; not of a subagent
  std::optional<std::string> shell_line = {};
  std::string shell = "/bin/sh";
  std::optional<std::string> description = {};  ///< absent: made from the command, where that is another one
  std::optional<std::chrono::milliseconds> timeout = {}, idle_timeout = {}, grace = {};
  std::optional<std::int64_t> output_limit = {}, memory_max = {}, pids_max = {};
  std::optional<double> cpu_max = {};
  std::optional<int> priority = {};   ///< behind all that have it already
  std::optional<TaskId> before = {};  ///< right before that task, with its priority
  bool first = false;                 ///< before all that wait for a slot
};

/// How a foreground task let go of its caller.
enum class Release {
  terminal,          ///< it has ended
  detached,          ///< it runs on in the background
  timeout_detached,  ///< its deadline had it run on in the background
  waiting            ///< not yet: the time passed, or it was cancelled
};
struct ForegroundResult {
  Release how = Release::waiting;
  Task task;
};

struct ListFilter {
  bool ended = false;  ///< ended tasks too
  std::optional<Status> status = {};
  std::optional<Kind> kind = {};
  std::optional<std::string> owner = {};
  bool leftovers = false;  ///< also ended tasks, foreground ones too, of which processes live on (L57)
};

enum class WaitMode { all, any, first_failure };

struct WaitOptions {
  std::vector<TaskId> ids = {};  ///< empty: every task that is active at the call
  WaitMode mode = WaitMode::all;
  std::optional<std::chrono::milliseconds> timeout = {};   ///< absent: for ever
  bool drain = false;                                      ///< with no ids: also tasks that start meanwhile
  std::optional<std::string> owner = {};                   ///< sees this owner's tasks only (L43)
  Cancellation cancel = {};                                ///< returns at once, as if the time had passed
  std::function<void(std::size_t running)> progress = {};  ///< called once a second while it waits, by the same thread
  std::function<void(const Task&)> unrecorded = {};        ///< called once for a task with Findings::unrecorded_end
  bool part_of_longer_wait = false;                        ///< of a longer wait, so that telemetry counts it not
};

struct WaitResult {
  bool timed_out = false;             ///< the time passed, or it was cancelled, before the mode was satisfied
  std::optional<Task> decisive = {};  ///< `any`, `first_failure`: the task that ended the wait
  std::vector<Task> ended = {};       ///< in the order in which they were seen to end
  std::vector<Task> running = {};
  /// Of a wait for one task: that task.
  [[nodiscard]] const Task& only() const {
    return !ended.empty() ? ended.front() : !unverified.empty() ? unverified.front() : running.front();
  }
  std::vector<Task> unverified = {};  ///< of which nothing here can say when they end: they are not waited for (L52)
};

struct StopOptions {
  std::string reason = {};                              ///< blank is none (L13); at most 1,000 bytes
  std::optional<std::chrono::milliseconds> grace = {};  ///< absent: the task's own
  std::optional<std::string> by = {};                   ///< a stop by the task's owner does not notify it (L15, L45)
  bool suppress_notification = false;  ///< sends no notification, whichever process asks; as close() does
};

/// A session of tasks, seen from one process.
///
/// The manager is a library, not a server: any number of processes may open the same session, each may be
/// SIGKILLed at any instant, and no task is lost or ended by it. All methods are thread-safe and synchronous;
/// none polls. Descriptors are close-on-exec, and no child process, signal handler or thread is left behind.
///
/// Every method may fail with session_unusable (the folder can't be read or written) and, where it writes,
/// storage_full. Methods that take an id fail with task_not_found for an unknown one, creating nothing (L47),
/// and with record_invalid when a file is there and is no record (L20).
class PERDURE_API TaskManager {
 public:
  [[nodiscard]] static Result<TaskManager> open(ManagerOptions options);
  TaskManager(TaskManager&&) noexcept;
  TaskManager& operator=(TaskManager&&) noexcept;
  ~TaskManager();

  /// Absolute path of the session folder. It need not exist yet.
  [[nodiscard]] const std::string& session() const;

  /// The parts of the session that are more than tasks. Each is a small value that may be copied, and that stays valid as
  /// long as the session is open, wherever this object is moved.
  [[nodiscard]] Notifications notifications() const;
  [[nodiscard]] Questions questions() const;
  [[nodiscard]] Events events() const;
  [[nodiscard]] Upkeep upkeep() const;

  /// The task of this session inside which this process runs, by its environment. Absent: none (L43, L60).
  [[nodiscard]] std::optional<TaskId> own_task() const;

  /// own_task(), the task that owns it, and so on: close() leaves them out, and so does `stop --all` (L60).
  [[nodiscard]] std::vector<TaskId> own_line() const;

  /// Starts a task; returns once its command runs and its record is durable, or, queued, once its place is. A command that can't be started is
  /// an error and leaves no record (task_launch_failed; os_error and details["exit"] = "126" or "127" say why).
  /// With an idempotency key that is known, returns that task and starts nothing (L06).
  [[nodiscard]] Result<Task> start(const StartOptions& options);

  /// Starts the command of a task once more, as a new task with the same options (I23): folder, additions to the environment,
  /// limits, name, owner and labels; the rest of the environment is the caller's. A task that follows it, its tool call and
  /// its idempotency key are not taken over. Errors: as of start(); usage where no start of it is kept that this user signed
  /// (a task of 0.1, of another program, of an executor), with a command line to use instead; task_limit_exceeded for a
  /// live task without `if_running`.
  [[nodiscard]] Result<Task> rerun(const TaskId& id, const RerunOptions& options = {});

  /// Changes a task that waits in the queue, before it starts (L05). Its runner is asked to leave, which leaves the task
  /// where it is; its entry is replaced, and a runner is started for it again. Killed in between, this changes all or
  /// nothing, and the next who looks after the queue starts the runner. Errors: task_not_running where it does not wait (any
  /// more); usage, also where `before` does not wait for a slot.
  [[nodiscard]] Result<Task> edit(const TaskId& id, const EditOptions& options);

  /// Starts a task that is work of this program: it has an id, a record, a log and a deadline as any other, is seen and
  /// stopped from any process, and is lost with this one. It takes no slot. A manager that goes ends those that still
  /// run as killed. One thread serves all of them, and only while there are any. Errors: usage.
  [[nodiscard]] Result<Task> start(const std::shared_ptr<InProcessTask>& task, const InProcessOptions& options);

  /// Starts a turn of a subagent (perdure/agent.h): a task as any other, whose output is the agent's final message. Its
  /// `agent_id` is known once the agent has a session. Errors: as of start(); agent_not_found for an unknown name or
  /// conversation, agent_not_owned where options.start.owner is not the conversation's owner, agent_busy where a task
  /// works on it already (details["task"]), usage where two agents have the id.
  [[nodiscard]] Result<Task> start(const AgentOptions& options);

  /// What a subagent did: at most `limit` bytes of its activity (docs/guide/agents.md) from `offset`, JSON lines; nothing where
  /// there is none. eof tells whether more may come. At most 8 MiB are kept of a turn.
  [[nodiscard]] Result<OutputChunk> read_activity(const TaskId& id, std::int64_t offset, std::int64_t limit) const;

  /// As await_output(), for the activity.
  [[nodiscard]] Result<void> await_activity(const TaskId& id, std::int64_t offset,
                                            std::optional<std::chrono::milliseconds> timeout,
                                            const Cancellation& cancel = {}) const;

  /// What is known of one task. Never writes (L38): a task whose runner is gone is shown as reconcile would find it.
  [[nodiscard]] Result<Task> get(const TaskId& id) const;

  /// Tasks ordered by start, oldest first. Files that are no records are left out; see Upkeep::bad_records().
  [[nodiscard]] Result<std::vector<Task>> list(const ListFilter& filter = {}) const;

  /// Absolute path of the task's log, or none where there is none. Kept for good (L37).
  [[nodiscard]] Result<std::optional<std::string>> output_path(const TaskId& id) const;

  /// At most `limit` bytes from `offset` (L23). An offset beyond the end reads nothing; eof tells whether more may
  /// come. Errors: output_expired where the bytes were dropped, details["nextOffset"] being the next that are kept.
  [[nodiscard]] Result<OutputChunk> read_output(const TaskId& id, std::int64_t offset, std::int64_t limit) const;

  /// The last `tail` bytes at most, cut at a character, with what there is to know about the whole.
  [[nodiscard]] Result<OutputSnapshot> output_snapshot(const TaskId& id, std::int64_t tail = 32768) const;

  /// Blocks until there is output behind `offset` or the task has ended, `timeout` passed or it is cancelled.
  [[nodiscard]] Result<void> await_output(const TaskId& id, std::int64_t offset,
                                          std::optional<std::chrono::milliseconds> timeout,
                                          const Cancellation& cancel = {}) const;

  /// Blocks without polling until the mode is satisfied. A time-out is no error.
  [[nodiscard]] Result<WaitResult> wait(const WaitOptions& options);

  /// Stops the whole tree of a task, waits for its end and returns its record (L12, L14). A task that has ended is
  /// returned unchanged (L13), after its leftovers, if any, were ended.
  [[nodiscard]] Result<Task> stop(const TaskId& id, const StopOptions& options = {});

  /// Blocks until a foreground task ends or is detached, by any process. Of a task in the background already: `terminal`
  /// once it has ended, else `detached`. The output of the 32 that ended last stays readable through the manager that
  /// started them; else nothing is left of a task that ended in the foreground, but for one that left processes behind.
  [[nodiscard]] Result<ForegroundResult> wait_for_release(
      const TaskId& id, std::optional<std::chrono::milliseconds> timeout = std::nullopt,
      const Cancellation& cancel = {});

  /// Makes a foreground task a background task: its whole output is in its log, its record is there, its deadline is
  /// `timeout` from now, none with 0, and absent what start() asked for, else the one that runs (L11, L44). A task that
  /// is in the background, or has ended, is returned unchanged.
  [[nodiscard]] Result<Task> detach(const TaskId& id, std::optional<std::chrono::milliseconds> timeout = std::nullopt);

  /// Gives the log of a task that ended in the foreground its name and a record with `detached:false` (L41). Only
  /// through the manager that started it.
  [[nodiscard]] Result<Task> retain_output(const TaskId& id);

  /// Ends the session's work: stops every task whose lifetime is `session`, waits until each is committed and returns
  /// them. Every later call on this object fails with session_closed (L16, L48).
  [[nodiscard]] Result<std::vector<Task>> close();

  /// Sends a signal to the command's process group. Errors: task_not_running.
  [[nodiscard]] Result<void> signal(const TaskId& id, int signal_number);

  /// The deadline counts from now; 0: there is none. Returns the task with the new `timeout_ms`, which is committed.
  /// Errors: task_not_running, also for tasks of other programs.
  [[nodiscard]] Result<Task> extend(const TaskId& id, std::chrono::milliseconds timeout);

  /// A descriptor of the caller's own that writes to the command's input. It may be non-blocking (a terminal is), and
  /// is full while the command does not read. EPIPE: the command reads no more. Errors: task_not_running; usage where
  /// the command has no input, or it was closed.
  [[nodiscard]] Result<Descriptor> open_input(const TaskId& id);

  /// The command reads the end of its input once every descriptor of open_input() is closed, too; on a terminal
  /// Ctrl-D is typed. Errors as above.
  [[nodiscard]] Result<void> close_input(const TaskId& id);

  /// Writes to a task's input exactly once, however often it is repeated with the same `write_id` (1 to 256 bytes): by this
  /// or another process, also after one that was killed in the middle. `end`: close_input() afterwards. Blocks while the
  /// command does not read. The runner remembers the latest 128 ids. Returns how many bytes were written: fewer than all
  /// where it was cancelled. Errors: as of open_input(), details["written"] counting; usage where the id came with other
  /// data, and for a task that runs elsewhere.
  [[nodiscard]] Result<std::int64_t> write_once(const TaskId& id, std::string_view bytes, std::string_view write_id,
                                                bool end = false, const Cancellation& cancel = {});

  /// The input of a task for one who types: while it is held, open_input() of every other process fails with
  /// task_input_held, and so does hold_input(). It is free again once `lock` is closed, however that process ends.
  struct HeldInput {
    Descriptor input;  ///< as open_input() gives it
    Descriptor lock;
    bool is_terminal = false;
  };
  [[nodiscard]] Result<HeldInput> hold_input(const TaskId& id);
  /// Who holds the input of a task: a pid, or absent.
  [[nodiscard]] std::optional<std::int64_t> input_holder(const TaskId& id) const;

  /// The size of a task's own terminal: as it is now, else as it was at the start. Absent: it has none, or the size is unknown.
  [[nodiscard]] std::optional<TerminalSize> terminal_size(const TaskId& id) const;

  /// The task of a name: the live one, else the one that was started last. Absent: there is none.
  [[nodiscard]] Result<std::optional<Task>> named(std::string_view name) const;

  /// Living processes of a running task: its command, what is below it, and what carries its mark. `unread`: others of
  /// this user that could not be looked at.
  struct Processes {
    std::vector<std::int64_t> pids;
    int unread = 0;
  };
  [[nodiscard]] Result<Processes> processes(const TaskId& id) const;

 private:
  friend class Listing;
  friend class EventLog;
  [[nodiscard]] Result<Task> launch(const StartOptions& options, const manager::Work& work);
  [[nodiscard]] Result<Task> launch_job(const StartOptions& options, const manager::Work& work);
  explicit TaskManager(std::unique_ptr<SessionState> state);
  std::unique_ptr<SessionState> state_;
};

}  // namespace perdure
