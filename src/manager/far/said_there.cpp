#include "manager/far/said_there.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/try.h"
#include "codec/fields.h"
#include "codec/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace perdure::manager {
namespace {

std::string take_word(std::string_view& text) {
  const auto end = std::min(text.find(' '), text.size());
  std::string word(text.substr(0, end));
  text.remove_prefix(std::min(text.size(), end + 1));
  return word;
}

std::int64_t take_number(std::string_view& text) {
  const std::string word = take_word(text);
  std::int64_t number = -1;
  std::from_chars(word.data(), word.data() + word.size(), number);
  return number;
}

}  // namespace

Frame frame_of(std::string_view line) {
  Frame frame;
  frame.word = take_word(line);
  if (!line.empty()) frame.id = take_word(line);
  if (frame.word == "log") frame.offset = take_number(line);
  if (frame.word == "log" || frame.word == "record") frame.bytes = take_number(line);
  return frame;
}

Result<Task> decode_any(std::string_view json) {
  TRY(auto members, codec::split_object(json));
  codec::Fields fields(members);
  const auto id = fields.text("taskId", codec::Need::required);
  if (!id) return fail(ErrorCode::record_invalid, fields.problem());
  return codec::decode(json, *id);
}

std::optional<WaitingThere> waiting_in(std::string_view json) {
  auto members = codec::split_object(json);
  if (!members) return std::nullopt;
  codec::Fields fields(*members);
  const auto id = fields.text("taskId", codec::Need::required);
  if (!id || fields.text("status", codec::Need::required) != name_of(Status::queued)) return std::nullopt;
  WaitingThere waiting{.id = *id, .state = {}, .reason = {}};
  const codec::Member* const executor = fields.find("executor");
  const auto inside = executor != nullptr ? codec::split_object(executor->raw) : fail(ErrorCode::record_invalid, "");
  if (!inside) return waiting;
  codec::Fields about(*inside);
  waiting.state = about.text("state", codec::Need::optional);
  waiting.reason = about.text("reason", codec::Need::optional);
  return waiting;
}

Result<Task> note_waiting(const store::Session& session, const TaskId& id, const WaitingThere& waiting) {
  auto sent = far::read_far_task(session, id);
  if (!sent) return fail(ErrorCode::record_invalid, fmt::format("the data sent for {} is not signed", id.str()));
  ExecutorState& executor = *sent->planned.executor;
  if (sent->place != waiting.id || executor.state != waiting.state || executor.reason != waiting.reason) {
    const bool is_new = !sent->place;
    sent->place = executor.place = waiting.id;
    executor.state = waiting.state;
    executor.reason = waiting.reason;
    executor.seen_at = time_at(now_ms());
    TRY_VOID(far::write_far_task(session, *sent));
    if (is_new) TRY_VOID(far::enter(session, id));
  }
  if (auto shown = far::unplaced(session, id)) return std::move(*shown);
  return sent->planned;
}

std::string last_line(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  const auto at = text.rfind('\n');
  return std::string(at == std::string_view::npos ? text : text.substr(at + 1));
}

}  // namespace perdure::manager
