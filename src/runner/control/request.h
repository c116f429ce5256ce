#pragma once

#include "contract/outcome.h"

#include <cerrno>
#include <string_view>
#include <variant>

/// A request on the control socket as a value (contract/control.h lists the words). The texts in it are parts of the
/// line and valid as long as the line.
namespace runner::request {

using perdure::contract::Cause;

struct Wait {
  std::string_view inside;  // the task inside which the client runs, or ""
};
struct Waiters {};
struct Started {};
struct Release {};
struct Look {};
struct Detach {
  long timeout_ms = -1;  // -1: as launched
};
struct Stop {
  Cause cause = Cause::stop;  // or stop_quietly
  long grace_ms = -1;         // -1: the task's own
  std::string_view reason;    // ASCII, escaped as in JSON
};
struct StopOwned {
  long grace_ms = 0;
  std::string_view owner;
};
struct Settle {
  bool dismissed = false;  // else answered
  std::string_view draft;  // a file in the task's folder
};
struct EndLeftovers {
  long grace_ms = 0;
};
struct Note {
  std::string_view members;  // JSON
};
struct TurnEnded {
  enum class How : unsigned char { completed, failed, broke } how = How::completed;
  std::string_view reason;  // "" exactly if it completed
};
struct Signal {
  int number = 0;
};
struct Extend {
  long timeout_ms = 0;
};
struct Input {};
struct Type {
  std::string_view id, sum;  // hex digits
  long offset = 0;
  std::string_view hex;  // an even number of hex digits
};
struct CloseInput {};
struct Figures {};  // `output`
struct Yield {};

/// An invalid request: the answer is "error ERRNO", followed by the expected form if there is one.
struct Bad {
  int error = ENOSYS;     // unknown request; or EINVAL: invalid arguments
  std::string_view form;  // the expected form, for a malformed request; else ""
};

using Request = std::variant<Bad, Wait, Waiters, Started, Release, Look, Detach, Stop, StopOwned, Settle, EndLeftovers,
                             Note, TurnEnded, Signal, Extend, Input, Type, CloseInput, Figures, Yield>;

/// Total: parses every line into one of them. Pure.
[[nodiscard]] Request parse(std::string_view line);

/// Parses the content of stop.wish (contract/names.h): GRACE_MS QUIET, then the reason on a line of its own. False:
/// invalid.
[[nodiscard]] bool parse_stop_wish(std::string_view text, Stop& wish);

/// The answer to an invalid request.
template <class Text>
void write_error(Text& to, const Bad& bad) {
  to << std::string_view("error ") << static_cast<long>(bad.error);
  if (bad.error == ENOSYS) to << std::string_view(" unknown request");
  if (!bad.form.empty()) to << std::string_view(" expected: ") << bad.form;
}

}  // namespace runner::request
