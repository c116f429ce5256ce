#pragma once

#include <cstdint>
#include <string_view>

// How a task ended, as a function of the noted causes. The runner calls outcome_of() when it commits; a process that
// recovers a task whose runner was killed calls it with the notes in runner.lock. So the two cannot differ (L55).
//
// Precedence: the first decided cause stands (L09). One exception (L14): a subagent that finished its turn within the
// grace of a stop keeps the turn's own outcome; the runner notes that as Cause::exit or exit_quietly over the stop.
namespace perdure::contract {

/// The cause of a task's end. word_of() gives the words in runner.lock.
enum class Cause : unsigned char {
  none,          ///< undecided
  exit,          ///< the command ended by itself, or a subagent's turn did
  exit_quietly,  ///< a subagent's turn ended by itself within the grace of a stop by its owner (not notified, L45)
  stop,
  stop_quietly,  ///< a stop by the owner: not notified (L45)
  deadline,
  idle,    ///< no output for the length of the idle timeout
  output,  ///< the output limit was exceeded and its policy is to stop the task
};
inline constexpr Cause kAllCauses[] = {Cause::none,         Cause::exit,     Cause::exit_quietly, Cause::stop,
                                       Cause::stop_quietly, Cause::deadline, Cause::idle,         Cause::output};

constexpr std::string_view word_of(Cause cause) {
  switch (cause) {
    case Cause::none: return "";
    case Cause::exit: return "exit";
    case Cause::exit_quietly: return "exit-quietly";
    case Cause::stop: return "stop";
    case Cause::stop_quietly: return "stop-quietly";
    case Cause::deadline: return "deadline";
    case Cause::idle: return "idle";
    case Cause::output: return "output";
  }
  return "";
}

/// A word that this version does not know counts as a stop: some cause did end the task.
constexpr Cause cause_of(std::string_view word) {
  for (const Cause cause : kAllCauses)
    if (word_of(cause) == word) return cause;
  return Cause::stop;
}

/// The inputs of the outcome.
struct Causes {
  bool is_agent = false;
  Cause decided = Cause::none;
  bool has_reason = false;  ///< a reason was noted with the decision
  bool exited = false;      ///< the command's own process has ended; the next two members say how
  bool by_signal = false;
  int value = 0;               ///< exit code or number of the signal
  bool out_of_memory = false;  ///< the kernel killed a process of the task because of its memory limit
};

enum class Ending : unsigned char { undecided, completed, failed, timed_out, killed };

/// The status of the record; "" while it is undecided.
constexpr const char* word_of(Ending ending) {
  switch (ending) {
    case Ending::undecided: return "";
    case Ending::completed: return "completed";
    case Ending::failed: return "failed";
    case Ending::timed_out: return "timed_out";
    case Ending::killed: return "killed";
  }
  return "";
}

/// Which text becomes the stopReason (L46).
enum class ReasonText : unsigned char { none, noted, out_of_memory, silent_driver };

struct Outcome {
  Ending ending = Ending::undecided;
  ReasonText reason = ReasonText::none;
  bool shows_exit = false;  ///< the record has exitCode or signal
  bool by_idle = false;     ///< timedOutBy
  bool is_quiet = false;    ///< terminalNotificationSuppressed

  constexpr bool operator==(const Outcome&) const = default;
};

/// Total: every combination has a result. Ending::undecided if no cause decided and the command has not exited.
constexpr Outcome outcome_of(const Causes& c) {
  Outcome outcome;
  outcome.shows_exit = !c.is_agent && c.exited;
  switch (c.decided) {
    case Cause::deadline:
    case Cause::idle:
      outcome.ending = Ending::timed_out;
      outcome.by_idle = c.decided == Cause::idle;
      return outcome;
    case Cause::stop:
    case Cause::stop_quietly:
    case Cause::output:
      outcome.ending = Ending::killed;
      outcome.reason = c.has_reason ? ReasonText::noted : ReasonText::none;
      outcome.is_quiet = c.decided == Cause::stop_quietly;
      return outcome;
    case Cause::none:
      if (!c.exited) return outcome;
      break;
    case Cause::exit:
    case Cause::exit_quietly: outcome.is_quiet = c.decided == Cause::exit_quietly; break;
  }
  if (c.is_agent) {
    // A driver that exited without reporting the turn's outcome has failed; its report is noted as the cause.
    const bool is_silent = c.decided == Cause::none;
    outcome.ending = is_silent || c.has_reason ? Ending::failed : Ending::completed;
    outcome.reason = is_silent ? ReasonText::silent_driver : c.has_reason ? ReasonText::noted : ReasonText::none;
    return outcome;
  }
  const bool succeeded = c.exited && !c.by_signal && c.value == 0;
  outcome.ending = succeeded ? Ending::completed : Ending::failed;
  if (!succeeded && c.out_of_memory) outcome.reason = ReasonText::out_of_memory;
  return outcome;
}

/// ReasonText::out_of_memory and silent_driver in words. `Text` has << for string_view and long.
template <class Text>
void write_out_of_memory(Text& to, std::int64_t limit_bytes) {
  to << std::string_view("Out of memory (limit ") << static_cast<long>(limit_bytes) << std::string_view(" bytes)");
}
template <class Text>
void write_silent_driver(Text& to, bool by_signal, int value) {
  to << std::string_view("The driver of the subagent ended by ")
     << std::string_view(by_signal ? "signal " : "itself, with exit code ") << static_cast<long>(value);
}

}  // namespace perdure::contract
