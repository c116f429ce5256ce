#include "base/clock.h"
#include "base/json_writer.h"
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

// Members in the order of a new record. An empty value: known for this kind, and absent.
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
  time("submittedAt", ms_of(state.submitted_at));
  time("startedAt", ms_of(state.started_at));
  time("seenAt", ms_of(state.seen_at));
  time("silentSince", ms_of(state.silent_since));
  text("late", state.late);
  return json + "}";
}

std::string attempts_json(const RestartFacts& restart) {
  if (restart.count == 0) return "";
  std::string last;
  for (const auto& one : restart.last) {
    last +=
        fmt::format(R"({}{{"startedAt":{},"endedAt":{},"exitCode":{})", last.empty() ? "" : ",", ms_of(one.started_at),
                    ms_of(one.ended_at), one.exit_code ? fmt::to_string(*one.exit_code) : "null");
    if (one.signal) last += fmt::format(R"(,"signal":{})", *one.signal);
    last += fmt::format(R"(,"outputOffset":{}}})", one.output_offset);
  }
  return fmt::format(R"({{"count":{},"last":[{}]}})", restart.count, last);
}

void write_identity(Writer& w, const Task& task) {
  w.text("taskId", task.id.str());
  w.text("description", task.description);
  w.text("kind", task.kind_name);
  if (task.kind == Kind::process) w.text("command", task.process.command);
}

void write_state(Writer& w, const Task& task) {
  w.put("status", json_quoted(name_of(task.status)));
  w.boolean("detached", task.detached);
  w.put("startedAt", task.status == Status::queued ? "null" : fmt::to_string(ms_of(task.started_at)));
  w.number_or_null("endedAt", ms_of(task.ended_at));
  w.text("stopReason", task.stop_reason);
  w.boolean("terminalNotificationSuppressed", task.notification.suppressed);
  w.number("timeoutMs", task.limits.timeout_ms);
  w.number("timeoutFrom", ms_of(task.limits.timeout_from));
  w.text("timedOutBy", task.timed_out_by);
}

void write_asked(Writer& w, const Task& task) {
  w.text("parentToolCallId", task.origin.parent_tool_call_id);
  w.boolean("resumeReminded", task.notification.resume_reminded);
  if (task.kind == Kind::agent) {
    w.text("agentId", task.agent.id ? std::optional(task.agent.id->text) : std::nullopt);
    w.text("subagentType", task.agent.type);
    w.text("model", task.agent.model);
    w.text("thinkingEffort", task.agent.thinking_effort);
    w.text("stopCode", task.agent.stop_code);
  }
  if (task.kind == Kind::question) {
    w.number("questionCount", task.question.count.value_or(0));
    w.text("toolCallId", task.question.tool_call_id);
    w.text("onDeadline",
           task.question.on_deadline ? std::optional(std::string(name_of(*task.question.on_deadline))) : std::nullopt);
  }
  w.number("idleTimeoutMs", task.limits.idle_timeout_ms);
  w.number("memoryMax", task.limits.memory_max);
  w.number("cpuMaxMilli", task.limits.cpu_max_milli);
  w.number("pidsMax", task.limits.pids_max);
  w.text("owner", task.owner);
  w.put("labels", labels_json(task.labels));
  w.text("lifetime", task.origin.lifetime);
  w.text("cwd", task.origin.cwd);
  w.text("idempotencyKey", task.origin.idempotency_key);
  w.text("deliveredBy", task.notification.delivered_by);
  w.text("name", task.name);
  w.number("stopSignal", task.process.stop_signal);
  w.text("restart", task.restart.policy);
  w.number("restartMax", task.restart.most);
  w.text("input", task.process.input);
  w.number("queuedAt", ms_of(task.queue.queued_at));
  w.number("priority", task.queue.priority);
  w.text("after", task.queue.after);
  w.number("queuePlace", task.queue.place);
  w.put("onEnd", strings_json(task.notification.on_end));
  w.put("signature", task.notification.signature ? signature_json(*task.notification.signature) : "");
  w.text("bootId", task.host.boot_id);
  w.text("machineId", task.host.machine_id);
  w.text("hostName", task.host.name);
  w.text("pidNamespace", task.host.pid_namespace);
  if (task.host.session_folder) {
    std::string folder = fmt::format(R"({{"inode":{})", json_quoted(task.host.session_folder->inode));
    if (task.host.session_folder->birth_time)
      folder += fmt::format(R"(,"birthTime":{})", json_quoted(*task.host.session_folder->birth_time));
    w.put("sessionFolder", folder + "}");
  }
}

void write_found(Writer& w, const Task& task) {
  if (task.kind == Kind::process) {
    w.number("pid", task.process.pid);
    w.number_or_null("exitCode", task.process.exit_code);
  }
  if (task.kind == Kind::question)
    w.text("questionOutcome",
           task.question.outcome ? std::optional(std::string(name_of(*task.question.outcome))) : std::nullopt);
  w.number("signal", task.process.signal);
  w.put("attempts", attempts_json(task.restart));
  w.text("cgroup", task.limits.cgroup);
  w.put("runner", !task.host.runner ? ""
                                    : fmt::format(R"({{"pid":{},"startTicks":{}}})", task.host.runner->pid,
                                                  task.host.runner->start_ticks));
  w.boolean("inProcess", task.host.in_process);
  w.put("executor", task.executor ? executor_json(*task.executor) : "");
  w.text("lostEvidence", task.lost_evidence ? std::optional(std::string(name_of(*task.lost_evidence))) : std::nullopt);
  w.number("unreadProcesses", task.process.unread_processes);
  w.boolean("recovered", task.recovered);
  w.number("outputBytes", task.output.bytes);
  w.number("droppedBytes", task.output.dropped_bytes);
  w.number("droppedAt", task.output.dropped_at);
  w.number("unstoredBytes", task.output.unstored_bytes);
  w.put("survivors", task.process.survivors.empty() ? "" : fmt::format("[{}]", fmt::join(task.process.survivors, ",")));
  w.number("leftovers", task.process.leftovers);
  w.number("notifiedAt", ms_of(task.notification.notified_at));
  w.text("notifiedVia", task.notification.channel);
  w.number("startedSeq", task.started_seq);
  w.number("endedSeq", task.ended_seq);
}

// The current name of a legacy key, "" if it has none in this kind of record (L21).
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

std::string encode(const Task& task) {
  Writer w;
  write_identity(w, task);
  write_state(w, task);
  write_asked(w, task);
  write_found(w, task);

  std::string json;
  const auto before = task.found.raw.empty() ? Result<std::vector<Member>>() : split_object(task.found.raw);
  if (before)
    for (const auto& member : *before) {
      const auto key = task.found.shape == Shape::legacy ? current_name(member.key, task.kind) : member.key;
      const auto known = std::ranges::find(w.written, key, &Written::value_type::first);
      if (known == w.written.end()) {
        add_member(json, member.key, member.raw);  // an unknown key is kept (L19)
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
