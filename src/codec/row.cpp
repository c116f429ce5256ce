#include "codec/row.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "codec/fields.h"

#include <array>
#include <cstring>

namespace perdure::codec {
namespace {

enum Bit : std::uint32_t {
  kDetached = 1U << 0U,
  kRunner = 1U << 1U,
  kMirror = 1U << 2U,
  kLeftovers = 1U << 3U,
  kDropped = 1U << 4U,
  kNotified = 1U << 5U,
  kSuppressed = 1U << 6U,
  kRemarkable = 1U << 7U,
  kEnded = 1U << 8U,
  kExit = 1U << 9U,
  kSignal = 1U << 10U,
  kName = 1U << 11U,
  kOwner = 1U << 12U,
  kAgentType = 1U << 13U,
  kAgentId = 1U << 14U,
  kPlace = 1U << 15U,
  kNode = 1U << 16U,
};

// The part of a fixed size; texts follow, each with its length before it. Of this machine only: nothing moves it elsewhere.
struct Fixed {
  std::int64_t started_at = 0, ended_at = 0, started_seq = 0, ended_seq = 0, output_bytes = 0;
  std::int32_t exit_code = 0;
  std::uint32_t bits = 0;
  std::int16_t signal = 0;
  std::uint8_t kind = 0, status = 0, shape = 0;
  std::array<std::uint8_t, 3> unused = {};
};
static_assert(sizeof(Fixed) == 56);

constexpr std::size_t kTexts = 12;

void put_length(std::string& into, std::size_t length) {
  while (length >= 0x80) {
    into += static_cast<char>(0x80U | (length & 0x7FU));
    length >>= 7U;
  }
  into += static_cast<char>(length);
}

void put_text(std::string& into, std::string_view text) {
  put_length(into, text.size());
  into += text;
}

bool take_text(std::string_view& from, std::string_view& text) {
  std::size_t length = 0;
  for (unsigned shift = 0;; shift += 7) {
    if (from.empty() || shift > 28) return false;
    const auto byte = static_cast<unsigned char>(from.front());
    from.remove_prefix(1);
    length |= std::size_t{byte & 0x7FU} << shift;
    if ((byte & 0x80U) == 0) break;
  }
  if (length > from.size()) return false;
  text = from.substr(0, length);
  from.remove_prefix(length);
  return true;
}

std::string pack_labels(const Task& task) {
  std::string packed;
  for (const auto& [name, value] : task.labels) {
    put_text(packed, name);
    put_text(packed, value);
  }
  return packed;
}

bool is_remarkable(const Task& task) {
  return task.status == Status::lost || !task.process.survivors.empty() ||
         (task.ended_at && *task.ended_at < task.started_at) || task.output.unstored_bytes.value_or(0) > 0;
}

std::uint32_t bits_of(const Task& task) {
  std::uint32_t bits = 0;
  const auto set = [&](Bit bit, bool on) { bits |= on ? std::uint32_t{bit} : 0U; };
  set(kDetached, task.detached);
  set(kRunner, task.host.runner || (task.kind == Kind::question && task.question.on_deadline));
  set(kMirror, task.executor && !task.host.runner);
  set(kLeftovers, task.process.leftovers.value_or(0) > 0);
  set(kDropped, task.output.dropped_bytes.value_or(0) > 0);
  set(kNotified, task.notification.notified_at.has_value());
  set(kSuppressed, task.notification.suppressed.value_or(false));
  set(kRemarkable, is_remarkable(task));
  set(kEnded, task.ended_at.has_value());
  set(kExit, task.process.exit_code.has_value());
  set(kSignal, task.process.signal.has_value());
  set(kName, task.name.has_value());
  set(kOwner, task.owner.has_value());
  set(kAgentType, task.agent.type.has_value());
  set(kAgentId, task.agent.id.has_value());
  set(kPlace, task.executor && task.executor->place);
  set(kNode, task.executor && task.executor->node);
  return bits;
}

}  // namespace

std::string pack_row(const Task& task, std::string_view source) {
  const Fixed fixed{.started_at = ms_of(task.started_at),
                    .ended_at = ms_of(task.ended_at).value_or(0),
                    .started_seq = task.started_seq.value_or(0),
                    .ended_seq = task.ended_seq.value_or(0),
                    .output_bytes = task.output.bytes.value_or(0),
                    .exit_code = task.process.exit_code.value_or(0),
                    .bits = bits_of(task),
                    .signal = static_cast<std::int16_t>(task.process.signal.value_or(0)),
                    .kind = static_cast<std::uint8_t>(task.kind),
                    .status = static_cast<std::uint8_t>(task.status),
                    .shape = static_cast<std::uint8_t>(task.found.shape)};
  std::string packed(reinterpret_cast<const char*>(&fixed), sizeof fixed);
  const auto text = [](const std::optional<std::string>& value) {
    return value ? std::string_view(*value) : std::string_view();
  };
  put_text(packed, task.id.str());
  put_text(packed, task.description);
  put_text(packed, text(task.name));
  put_text(packed, text(task.owner));
  put_text(packed, text(task.agent.type));
  put_text(packed, task.agent.id ? std::string_view(task.agent.id->text) : std::string_view());
  put_text(packed, task.executor ? std::string_view(task.executor->name) : std::string_view());
  put_text(packed, task.executor ? std::string_view(task.executor->type) : std::string_view());
  put_text(packed, task.executor ? text(task.executor->place) : std::string_view());
  put_text(packed, task.executor ? text(task.executor->node) : std::string_view());
  put_text(packed, pack_labels(task));
  put_text(packed, source);
  return packed;
}

std::optional<Row> unpack_known_row(std::string_view bytes) {
  Fixed fixed;
  if (bytes.size() < sizeof fixed) return std::nullopt;
  std::memcpy(&fixed, bytes.data(), sizeof fixed);
  bytes.remove_prefix(sizeof fixed);
  if (fixed.kind > static_cast<std::uint8_t>(Kind::other) || fixed.status > static_cast<std::uint8_t>(Status::lost) ||
      fixed.shape > static_cast<std::uint8_t>(Shape::kimi_cli) || !is_terminal(static_cast<Status>(fixed.status)))
    return std::nullopt;
  std::array<std::string_view, kTexts> texts;
  for (auto& text : texts)
    if (!take_text(bytes, text)) return std::nullopt;
  if (!bytes.empty()) return std::nullopt;
  const auto has = [&](Bit bit) { return (fixed.bits & bit) != 0; };
  const auto text = [&](Bit bit, std::size_t at) {
    return has(bit) ? std::optional<std::string_view>(texts.at(at)) : std::nullopt;
  };
  return Row{.id = texts[0],
             .description = texts[1],
             .name = text(kName, 2),
             .owner = text(kOwner, 3),
             .agent_type = text(kAgentType, 4),
             .agent_id = text(kAgentId, 5),
             .executor_name = texts[6],
             .executor_type = texts[7],
             .executor_place = text(kPlace, 8),
             .executor_node = text(kNode, 9),
             .labels = texts[10],
             .source = texts[11],
             .kind = static_cast<Kind>(fixed.kind),
             .status = static_cast<Status>(fixed.status),
             .shape = static_cast<Shape>(fixed.shape),
             .detached = has(kDetached),
             .has_runner = has(kRunner),
             .is_mirror = has(kMirror),
             .has_leftovers = has(kLeftovers),
             .has_dropped = has(kDropped),
             .is_notified = has(kNotified),
             .is_suppressed = has(kSuppressed),
             .is_remarkable = has(kRemarkable),
             .started_at = fixed.started_at,
             .ended_at = has(kEnded) ? std::optional(fixed.ended_at) : std::nullopt,
             .exit_code = has(kExit) ? std::optional<int>(fixed.exit_code) : std::nullopt,
             .signal = has(kSignal) ? std::optional<int>(fixed.signal) : std::nullopt,
             .started_seq = fixed.started_seq,
             .ended_seq = fixed.ended_seq,
             .output_bytes = fixed.output_bytes};
}

std::optional<Row> unpack_row(std::string_view bytes) {
  auto row = unpack_known_row(bytes);
  const auto is_time = [](std::int64_t ms) { return ms >= 0 && ms <= kMostTime; };
  const auto is_text = [](const std::optional<std::string_view>& text) { return !text || is_valid_utf8(*text); };
  const bool is_fine =
      row && is_time(row->started_at) && is_time(row->ended_at.value_or(0)) && row->started_seq >= 0 &&
      row->ended_seq >= 0 && row->output_bytes >= 0 && TaskId::parse(row->id) && is_text(row->description) &&
      is_text(row->name) && is_text(row->owner) && is_text(row->agent_type) && is_text(row->agent_id) &&
      is_text(row->executor_name) && is_text(row->executor_type) && is_text(row->executor_place) &&
      is_text(row->executor_node) && is_text(row->source) &&
      visit_labels(row->labels, [&](auto name, auto value) { return is_text(name) && is_text(value); });
  return is_fine ? row : std::nullopt;
}

bool visit_labels(std::string_view labels,
                  const std::function<bool(std::string_view name, std::string_view value)>& visit) {
  std::string_view name;
  std::string_view value;
  while (take_text(labels, name) && take_text(labels, value))
    if (!visit(name, value)) return false;
  return true;
}

}  // namespace perdure::codec
