#include "runner/control/request.h"

#include "contract/control.h"
#include "contract/names.h"
#include "runner/control/json_text.h"
#include "runner/os/text.h"

#include <cerrno>
#include <charconv>

namespace runner::request {
namespace {

using namespace perdure::contract;

constexpr int kHighestSignal = 64;

constexpr Bad kBadArgument{EINVAL, {}};

// A row for each word: its form for errors, and the function that parses its arguments.
struct Form {
  std::string_view word, form;
  Request (*read)(const Form& form, std::string_view rest);
};

Bad not_so(const Form& form) {
  return {EINVAL, form.form};
}

// A whole number at the start of `rest`, which is advanced past it and one blank. False: there is none.
bool take_whole_number(std::string_view& rest, long& number) {
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (error != std::errc() || end == rest.data()) return false;
  rest = behind(rest, static_cast<unsigned long>(end - rest.data()));
  if (rest.empty()) return true;
  if (rest.front() != ' ') return false;
  rest = behind(rest, 1);
  return true;
}

bool is_reason(std::string_view text) {
  return static_cast<long>(text.size()) <= kMaxReasonBytes && is_escaped_json(text);
}

bool is_draft(std::string_view name) {
  // Only names that Perdure itself uses: a file in the folder, without a path that leads out of it.
  return name.size() < 64 && name.starts_with(kDraftPrefix) && name.find('/') == std::string_view::npos;
}

template <class Plain>
Request plain(const Form& form, std::string_view rest) {
  return rest.empty() ? Request(Plain{}) : Request(not_so(form));
}

template <class Numbered>
Request numbered(const Form& form, std::string_view rest) {
  long number = 0;
  if (!take_whole_number(rest, number) || !rest.empty()) return not_so(form);
  return Numbered{number};
}

template <Cause cause>
Request stop(const Form& form, std::string_view rest) {
  long grace = 0;
  if (!take_whole_number(rest, grace)) return not_so(form);
  if (!is_reason(rest)) return kBadArgument;
  return Stop{cause, grace, rest};
}

Request wait(const Form& /*form*/, std::string_view rest) {
  return Wait{is_id(rest) ? rest : std::string_view()};
}

Request stop_owned(const Form& form, std::string_view rest) {
  long grace = 0;
  if (!take_whole_number(rest, grace)) return not_so(form);
  return StopOwned{grace, rest};
}

Request settle(const Form& form, std::string_view rest) {
  const std::string_view how = take_word(rest);
  const bool dismissed = how == "dismissed";
  if (!dismissed && how != "answered") return not_so(form);
  if (!is_draft(rest)) return kBadArgument;
  return Settle{dismissed, rest};
}

Request note(const Form& /*form*/, std::string_view rest) {
  if (static_cast<long>(rest.size()) > kMaxNoteBytes || !is_members(rest)) return kBadArgument;
  return Note{rest};
}

Request turn_ended(const Form& form, std::string_view rest) {
  using How = TurnEnded::How;
  const std::string_view word = take_word(rest);
  const bool completed = word == kTurnCompleted;
  if (!completed && word != kTurnFailed && word != kTurnBroke) return not_so(form);
  if (rest.empty() != completed || !is_reason(rest)) return kBadArgument;
  return TurnEnded{completed ? How::completed : word == kTurnBroke ? How::broke : How::failed, rest};
}

Request signal(const Form& form, std::string_view rest) {
  long number = 0;
  if (!take_whole_number(rest, number) || !rest.empty()) return not_so(form);
  if (number < 0 || number > kHighestSignal) return kBadArgument;
  return Signal{static_cast<int>(number)};
}

bool are_hex_digits(std::string_view text) {
  for (const char c : text)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  return true;
}

Request type(const Form& form, std::string_view rest) {
  Type wanted;
  wanted.id = take_word(rest);
  wanted.sum = take_word(rest);
  if (wanted.id.size() != kWriteIdDigits || wanted.sum.size() != kWriteSumDigits) return not_so(form);
  if (!take_whole_number(rest, wanted.offset)) return not_so(form);
  wanted.hex = rest;
  if (!are_hex_digits(wanted.id) || !are_hex_digits(wanted.sum) || !are_hex_digits(rest)) return kBadArgument;
  if (wanted.offset < 0 || rest.empty() || rest.size() % 2 != 0 || rest.size() > 2 * kMaxTyped) return kBadArgument;
  return wanted;
}

constexpr Form kForms[] = {
    {kWait, "wait [ID]", wait},
    {kWaiters, "waiters", plain<Waiters>},
    {kStarted, "started", plain<Started>},
    {kRelease, "release", plain<Release>},
    {kLook, "look", plain<Look>},
    {kDetach, "detach TIMEOUT_MS", numbered<Detach>},
    {kStop, "stop GRACE_MS REASON", stop<Cause::stop>},
    {kStopQuietly, "stop-quietly GRACE_MS REASON", stop<Cause::stop_quietly>},
    {kStopOwned, "stop-owned GRACE_MS OWNER", stop_owned},
    {kSettle, "settle answered|dismissed FILE", settle},
    {kEndLeftovers, "end-leftovers GRACE_MS", numbered<EndLeftovers>},
    {kNote, "note MEMBERS", note},
    {kOutcome, "outcome completed|failed|broke REASON", turn_ended},
    {kSignal, "signal NUMBER", signal},
    {kExtend, "extend TIMEOUT_MS", numbered<Extend>},
    {kInput, "input", plain<Input>},
    {kType, "type ID SUM OFFSET HEX", type},
    {kCloseInput, "close-input", plain<CloseInput>},
    {kOutput, "output", plain<Figures>},
    {kYield, "yield", plain<Yield>},
};

}  // namespace

Request parse(std::string_view line) {
  const std::string_view word = take_word(line);
  for (const Form& form : kForms)
    if (form.word == word) return form.read(form, line);
  return Bad{};
}

bool parse_stop_wish(std::string_view text, Stop& wish) {
  std::string_view rest = text;
  const long grace = take_number(rest);
  const bool quiet = take_number(rest) == 1;
  if (!rest.empty() && rest.front() == '\n') rest.remove_prefix(1);
  const std::string_view reason = first(rest, rest.find('\n'));
  if (text.empty() || !is_reason(reason)) return false;
  wish = {quiet ? Cause::stop_quietly : Cause::stop, grace, reason};
  return true;
}

}  // namespace runner::request
