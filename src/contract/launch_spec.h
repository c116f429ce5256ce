#pragma once

#include <cstdint>

// The launch specification that the manager passes to the runner: a memory file on descriptor kSpecFd, with a header
// followed by NUL-terminated strings. A struct and not JSON: the runner has no parser, and it needs argv and envp in
// place.
namespace perdure::contract {

inline constexpr int kSpecFd = 3;
inline constexpr int kAnswerFd = 4;  // a pipe; the runner writes one answer line (control.h) and closes it. In the
                                     // foreground a SOCK_SEQPACKET that stays open: closing it is the caller's hang-up
inline constexpr int kStreamFd = 5;  // with has_stream: a pipe that takes the output as it comes
inline constexpr int kInputFd = 6;   // with SpecInput::inherit: what the command reads

inline constexpr std::uint32_t kSpecMagic = 0x50445231;  // "PDR1"
inline constexpr std::uint32_t kSpecVersion = 7;

// background: a slot or a refusal. queued: a slot, now or later. foreground: no slot, and no record until it is
// detached. question: no slot and no command, only a deadline; argument 0 is the answer at the deadline, "" if the
// deadline closes the question without an answer.
enum class SpecMode : std::uint32_t { background = 0, queued = 1, foreground = 2, question = 3 };
enum class SpecOnTimeout : std::uint32_t { stop = 0, detach = 1 };
enum class SpecOnLimit : std::uint32_t { stop = 0, truncate = 1 };
enum class SpecInput : std::uint32_t { null = 0, pipe = 1, inherit = 2 };
// agent: the driver of a subagent. A stop signals the driver only; it reports how the turn ended; when it exits, the
// subagent's other processes are ended.
enum class SpecCommand : std::uint32_t { process = 0, agent = 1 };
// When a command that has ended is started again (I30).
enum class SpecRestart : std::uint32_t { never = 0, on_failure = 1, always = 2 };
enum class SpecLeftovers : std::uint32_t { keep = 0, kill = 1, wait = 2 };

struct LaunchSpec {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t total_bytes;     // of the whole file
  std::int64_t timeout_ms;       // 0: none
  std::int64_t idle_timeout_ms;  // without output; 0: none
  std::int64_t grace_ms;
  std::int64_t output_limit;       // bytes; 0: none
  std::int64_t detach_timeout_ms;  // foreground: the deadline once detached; 0: none, -1: unchanged
  std::int64_t memory_max;         // bytes; 0: none
  std::int64_t cpu_max_milli;      // thousandths of a processor; 0: none
  std::int64_t pids_max;           // 0: none
  std::int64_t restart_delay_ms;   // before the second attempt
  std::uint64_t entry_inode;  // for a runner that replaces another: the inode of the queue entry that was read; else 0
  std::int64_t pids_of_user;  // used instead of pids_max if only the user's processes can be counted
  SpecMode mode;
  SpecOnTimeout on_timeout;  // foreground
  std::uint32_t has_stream;  // foreground: 1: kStreamFd is there
  std::uint32_t priority;    // queued: 0 to 999; higher starts sooner
  SpecOnLimit on_limit;
  SpecLeftovers leftovers;
  std::uint32_t max_running;  // cap; 0: none
  std::uint32_t sync_output;  // 1: fsync the log before the terminal record
  std::uint32_t argc;
  std::uint32_t envc;
  std::uint32_t hook_count;
  SpecInput input;
  std::uint32_t terminal_rows;  // above 0: the command gets a terminal of its own
  std::uint32_t terminal_columns;
  SpecCommand command;
  std::uint32_t only_event;   // a bit of hook_events.h: run the hooks of this event and nothing else; 0: own a task
  std::uint32_t stop_signal;  // the signal of a stop; 0: SIGTERM
  SpecRestart restart;
  std::uint32_t restart_max;  // how often; 0: no limit
  std::uint32_t unused;       // 0
  // Behind the header, each ended by a NUL: the record's constant members (JSON text without the braces, not
  // empty), the owner ("" for none), the id of the task to follow ("" for none), the text of its entry in the
  // queue ("" where none is to be made), the program's path, the working directory, the file for
  // telemetry ("" for none), argc arguments, envc variables, what hooks are told first (JSON members: session and
  // cwd), the task's description (escaped as in JSON), the cgroup in which the task gets one ("" for none) and the path
  // of its own (escaped as in JSON), what is known of a subagent already (as `note` of control.h, "" for none), and
  // hook_count hooks "EVENTS TIMEOUT_MS COMMAND", EVENTS being a mask. Then, if anything, members of the record that say
  // where it runs: without them the runner finds out.
  // With only_event the constant members are all that hooks read, a whole JSON object.
};

}  // namespace perdure::contract
