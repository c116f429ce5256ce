#include "base/utf8.h"
#include "codec/json.h"
#include "codec/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace perdure {
namespace codec {
namespace {

// Members in the order in which a new record has them. An empty value: known for this kind, and not there.
using Written = std::vector<std::pair<std::string_view, std::string>>;

class Writer {
 public:
  void text(std::string_view key, const std::string& value) { put(key, json_quoted(value)); }
  void text(std::string_view key, const std::optional<std::string>& value) {
    put(key, value ? json_quoted(*value) : "");
  }
  void number(std::string_view key, std::int64_t value) { put(key, fmt::to_string(value)); }
  template <class T>
  void number(std::string_view key, const std::optional<T>& value) {
    put(key, value ? fmt::to_string(*value) : "");
  }
  template <class T>
  void number_or_null(std::string_view key, const std::optional<T>& value) {
    put(key, value ? fmt::to_string(*value) : "null");
  }
  void boolean(std::string_view key, std::optional<bool> value) { put(key, !value ? "" : *value ? "true" : "false"); }
  void put(std::string_view key, std::string json) { written.emplace_back(key, std::move(json)); }

  Written written;
};

std::string labels_json(const std::map<std::string, std::string>& labels) {
  std::string json;
  for (const auto& [name, value] : labels)
    json += fmt::format("{}{}:{}", json.empty() ? "" : ",", json_quoted(name), json_quoted(value));
  return json.empty() ? "" : "{" + json + "}";
}

std::string strings_json(const std::vector<std::string>& texts) {
  std::string json;
  for (const auto& text : texts) json += (json.empty() ? "" : ",") + json_quoted(text);
  return json.empty() ? "" : "[" + json + "]";
}

std::string signature_json(const Signature& signature) {
  return fmt::format(R"({{"key":{},"value":{}}})", json_quoted(signature.key), json_quoted(signature.value));
}

std::string executor_json(const ExecutorState& state) {
  std::string json = fmt::format(R"({{"name":{},"type":{},"token":{})", json_quoted(state.name),
                                 json_quoted(state.type), json_quoted(state.token));
  const auto text = [&](std::string_view key, const std::optional<std::string>& value) {
    if (value) json += fmt::format(",\"{}\":{}", key, json_quoted(*value));
  };
  const auto time = [&](std::string_view key, const std::optional<std::int64_t>& value) {
    if (value) json += fmt::format(",\"{}\":{}", key, *value);
  };
  text("place", state.place);
  text("node", state.node);
  text("machineId", state.machine_id);
  text("bootId", state.boot_id);
  text("state", state.state);
  text("reason", state.reason);
  text("exit", state.exit);
  time("submittedAt", state.submitted_at);
  time("startedAt", state.started_at);
  time("seenAt", state.seen_at);
  time("silentSince", state.silent_since);
  text("late", state.late);
  return json + "}";
}

void write_identity(Writer& w, const Task& task) {
  w.text("taskId", task.id.str());
  w.text("description", task.description);
  w.text("kind", task.kind_name);
  if (task.kind == Kind::process) w.text("command", task.command);
}

void write_state(Writer& w, const Task& task) {
  w.put("status", json_quoted(name_of(task.status)));
  w.boolean("detached", task.detached);
  w.put("startedAt", task.status == Status::queued ? "null" : fmt::to_string(task.started_at));
  w.number_or_null("endedAt", task.ended_at);
  w.text("stopReason", task.stop_reason);
  w.boolean("terminalNotificationSuppressed", task.terminal_notification_suppressed);
  w.number("timeoutMs", task.timeout_ms);
  w.number("timeoutFrom", task.timeout_from);
  w.text("timedOutBy", task.timed_out_by);
}

void write_asked(Writer& w, const Task& task) {
  w.text("parentToolCallId", task.parent_tool_call_id);
  w.boolean("resumeReminded", task.resume_reminded);
  if (task.kind == Kind::agent) {
    w.text("agentId", task.agent_id ? std::optional(task.agent_id->text) : std::nullopt);
    w.text("subagentType", task.subagent_type);
    w.text("model", task.model);
    w.text("thinkingEffort", task.thinking_effort);
    w.text("stopCode", task.stop_code);
  }
  if (task.kind == Kind::question) {
    w.number("questionCount", task.question_count.value_or(0));
    w.text("toolCallId", task.tool_call_id);
    w.text("onDeadline", task.on_deadline ? std::optional(std::string(name_of(*task.on_deadline))) : std::nullopt);
  }
  w.number("idleTimeoutMs", task.idle_timeout_ms);
  w.number("memoryMax", task.memory_max);
  w.number("cpuMaxMilli", task.cpu_max_milli);
  w.number("pidsMax", task.pids_max);
  w.text("owner", task.owner);
  w.put("labels", labels_json(task.labels));
  w.text("lifetime", task.lifetime);
  w.text("cwd", task.cwd);
  w.text("idempotencyKey", task.idempotency_key);
  w.text("deliveredBy", task.delivered_by);
  w.text("name", task.name);
  w.number("stopSignal", task.stop_signal);
  w.text("input", task.input);
  w.number("queuedAt", task.queued_at);
  w.number("priority", task.priority);
  w.text("after", task.after);
  w.number("queuePlace", task.queue_place);
  w.put("onEnd", strings_json(task.on_end));
  w.put("signature", task.signature ? signature_json(*task.signature) : "");
  w.text("bootId", task.boot_id);
  w.text("machineId", task.machine_id);
  w.text("hostName", task.host_name);
  w.text("pidNamespace", task.pid_namespace);
  if (task.session_folder) {
    std::string folder = fmt::format(R"({{"inode":{})", json_quoted(task.session_folder->inode));
    if (task.session_folder->birth_time)
      folder += fmt::format(R"(,"birthTime":{})", json_quoted(*task.session_folder->birth_time));
    w.put("sessionFolder", folder + "}");
  }
}

void write_found(Writer& w, const Task& task) {
  if (task.kind == Kind::process) {
    w.number("pid", task.pid);
    w.number_or_null("exitCode", task.exit_code);
  }
  if (task.kind == Kind::question)
    w.text("questionOutcome",
           task.question_outcome ? std::optional(std::string(name_of(*task.question_outcome))) : std::nullopt);
  w.number("signal", task.signal);
  w.text("cgroup", task.cgroup);
  w.put("runner",
        !task.runner ? "" : fmt::format(R"({{"pid":{},"startTicks":{}}})", task.runner->pid, task.runner->start_ticks));
  w.boolean("inProcess", task.in_process);
  w.put("executor", task.executor ? executor_json(*task.executor) : "");
  w.text("lostEvidence", task.lost_evidence ? std::optional(std::string(name_of(*task.lost_evidence))) : std::nullopt);
  w.number("unreadProcesses", task.unread_processes);
  w.boolean("recovered", task.recovered);
  w.number("outputBytes", task.output_bytes);
  w.number("droppedBytes", task.dropped_bytes);
  w.number("droppedAt", task.dropped_at);
  w.number("unstoredBytes", task.unstored_bytes);
  w.put("survivors", task.survivors.empty() ? "" : fmt::format("[{}]", fmt::join(task.survivors, ",")));
  w.number("leftovers", task.leftovers);
  w.number("notifiedAt", task.notified_at);
  w.text("notifiedVia", task.notified_via);
  w.number("startedSeq", task.started_seq);
  w.number("endedSeq", task.ended_seq);
}

// The current name of a legacy key, "" for one that has none in this kind of record (L21).
std::string_view current_name(std::string_view key, Kind kind) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kCommon = {{{"task_id", "taskId"},
                                                                                     {"description", "description"},
                                                                                     {"status", "status"},
                                                                                     {"started_at", "startedAt"},
                                                                                     {"ended_at", "endedAt"},
                                                                                     {"stop_reason", "stopReason"},
                                                                                     {"timeout_ms", "timeoutMs"}}};
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kProcess = {
      {{"command", "command"}, {"pid", "pid"}, {"exit_code", "exitCode"}}};
  constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kAgent = {
      {{"agent_id", "agentId"}, {"subagent_type", "subagentType"}}};
  const auto look_in = [&](const auto& names) -> std::string_view {
    for (const auto& [legacy, current] : names)
      if (legacy == key) return current;
    return {};
  };
  if (const auto name = look_in(kCommon); !name.empty()) return name;
  return kind == Kind::agent ? look_in(kAgent) : look_in(kProcess);
}

void add_member(std::string& json, std::string_view key, std::string_view value) {
  json += json.empty() ? "{\"" : ",\"";
  json += key;
  json += "\":";
  json += value;
}

}  // namespace

std::string json_quoted(std::string_view text) {
  return "\"" + escape(text) + "\"";
}

std::string escape(std::string_view text) {
  std::string valid;
  if (!is_valid_utf8(text)) {
    valid = to_valid_utf8(text);
    text = valid;
  }
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  return out;
}

std::string encode(const Task& task) {
  Writer w;
  write_identity(w, task);
  write_state(w, task);
  write_asked(w, task);
  write_found(w, task);

  std::string json;
  const auto before = task.raw.empty() ? Result<std::vector<Member>>() : split_object(task.raw);
  if (before)
    for (const auto& member : *before) {
      const auto key = task.shape == Shape::legacy ? current_name(member.key, task.kind) : member.key;
      const auto known = std::ranges::find(w.written, key, &Written::value_type::first);
      if (known == w.written.end()) {
        add_member(json, member.key, member.raw);  // not ours to understand, so not ours to lose (L19)
        continue;
      }
      if (!known->second.empty()) add_member(json, known->first, known->second);
      w.written.erase(known);
    }
  for (const auto& [key, value] : w.written)
    if (!value.empty()) add_member(json, key, value);
  return json + "}";
}

std::string constant_members(const Task& task) {
  Writer w;
  write_identity(w, task);
  write_asked(w, task);
  std::string json;
  for (const auto& [key, value] : w.written)
    if (!value.empty()) add_member(json, key, value);
  return json.substr(1);
}

}  // namespace codec

std::string record_json(const Task& task) {
  return codec::encode(task);
}

}  // namespace perdure
