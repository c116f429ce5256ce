#pragma once

#include "contract/outcome.h"

#include <cerrno>
#include <string_view>
#include <variant>

/// What a line on the control socket asks for, as a value (contract/control.h has the words). The texts in it are parts
/// of the line and live as long as that does.
namespace runner::request {

using perdure::contract::Cause;

struct Wait {
  std::string_view inside;  // the task in which the waiter runs, or ""
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
  std::string_view draft;  // a file of the task's folder
};
struct EndLeftovers {
  long grace_ms = 0;
};
struct Note {
  std::string_view members;  // JSON
};
struct TurnEnded {
  enum class How : unsigned char { completed, failed, broke } how = How::completed;
  std::string_view reason;  // "" exactly where it completed
};
struct Signal {
  int number = 0;
};
struct Extend {
  long timeout_ms = 0;
};
struct Input {};
struct CloseInput {};
struct Figures {};  // `output`
struct Yield {};

/// No request: the answer is "error ERRNO", and behind it what is wrong where the ERRNO alone would not say it.
struct Bad {
  int error = ENOSYS;     // there is no such request; or EINVAL: its arguments are not as they must be
  std::string_view form;  // how the request is written, where it was not written so; else ""
};

using Request = std::variant<Bad, Wait, Waiters, Started, Release, Look, Detach, Stop, StopOwned, Settle, EndLeftovers,
                             Note, TurnEnded, Signal, Extend, Input, CloseInput, Figures, Yield>;

/// Total: every line is one of them. Changes nothing and calls nothing.
[[nodiscard]] Request parse(std::string_view line);

/// The content of stop.wish (contract/names.h): GRACE_MS QUIET, then the reason on a line of its own. False: it is none.
[[nodiscard]] bool parse_stop_wish(std::string_view text, Stop& wish);

/// The answer to no request.
template <class Text>
void write_error(Text& to, const Bad& bad) {
  to << std::string_view("error ") << static_cast<long>(bad.error);
  if (bad.error == ENOSYS) to << std::string_view(" unknown request");
  if (!bad.form.empty()) to << std::string_view(" expected: ") << bad.form;
}

}  // namespace runner::request
