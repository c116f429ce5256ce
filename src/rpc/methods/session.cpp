#include "base/clock.h"
#include "base/error.h"
#include "base/utf8.h"
#include "rpc/methods/methods.h"

#include <fmt/format.h>

#include <algorithm>

// initialize and session.*
namespace perdure::rpc {

json::object counts_of(const std::vector<Task>& tasks) {
  json::object counts;
  for (const Status status : {Status::queued, Status::running, Status::completed, Status::failed, Status::timed_out,
                              Status::killed, Status::lost})
    counts[name_of(status)] = std::ranges::count(tasks, status, &Task::status);
  return counts;
}

namespace {

constexpr std::int64_t kProtocol = 1;
constexpr std::int64_t kLongestLine = 16 << 20, kLongestWindow = 256 << 10;

Reply initialize(Request& request) {
  if (request.client.place != nullptr)
    return std::unexpected(Fault{jsonrpc::kInvalidRequest, "Invalid request: this connection is initialized already"});
  const auto& versions = request.params.at("protocol").get_object();
  if (versions.at("min").get_int64() > kProtocol || versions.at("max").get_int64() < kProtocol)
    return refused(fmt::format("protocol: this server speaks {}, and the client speaks {} to {}", kProtocol,
                               versions.at("min").get_int64(), versions.at("max").get_int64()));
  const auto session = request.text("session").value_or(request.options.session);
  if (session.empty()) return refused("session: expected the session's folder, got ''");
  auto place = request.places.open(session);
  if (!place) return failed(place.error());
  request.client.place = std::move(*place);
  request.client.owner = request.text("owner");
  json::object limits{{"lineBytes", kLongestLine}, {"windowBytes", kLongestWindow}};
  return json::object{
      {"protocol", kProtocol},
      {"server", json::object{{"name", "perdure"}, {"version", PERDURE_VERSION}}},
      {"capabilities",
       json::object{
           {"events", true}, {"agents", true}, {"attach", true}, {"writeId", true}, {"limits", std::move(limits)}}},
      {"session", to_valid_utf8(request.manager().session())}};
}

Result<json::object> describe_session(const std::string& path) {
  auto manager = TaskManager::open({.session = path, .runner = {}});
  if (!manager) return std::unexpected(manager.error());
  auto tasks = manager->list({.ended = true});
  if (!tasks) return std::unexpected(tasks.error());
  std::int64_t last = 0;
  bool ours = tasks->empty();
  for (const auto& task : *tasks) {
    last = std::max({last, ms_of(task.started_at), ms_of(task.ended_at).value_or(0)});
    ours |= task.host.runner.has_value() || task.host.machine_id.has_value();
  }
  return json::object{{"path", to_valid_utf8(manager->session())},
                      {"program", ours ? "perdure" : "kimi"},
                      {"counts", counts_of(*tasks)},
                      {"lastChange", last}};
}

Reply list_sessions(Request& request) {
  json::array sessions;
  for (const auto& path : session_paths(request.options, request.manager().session()))
    // A session that can't be read is left out; doctor reports it.
    if (auto session = describe_session(path)) sessions.push_back(std::move(*session));
  return json::object{{"sessions", std::move(sessions)}};
}

Reply reconcile(Request& request) {
  auto verdicts = request.manager().upkeep().reconcile(
      {.queue_only = request.is_true("queueOnly"), .assume_lost = request.is_true("adopt")});
  if (!verdicts) return failed(verdicts.error());
  json::array json;
  for (const auto& verdict : *verdicts) {
    const auto& evidence = verdict.task.lost_evidence;
    json.push_back(json::object{{"taskId", verdict.task.id.str()},
                                {"before", name_of(verdict.before)},
                                {"status", name_of(verdict.task.status)},
                                {"changed", verdict.changed},
                                {"evidence", evidence ? json::value(name_of(*evidence)) : json::value(nullptr)},
                                {"explained", to_valid_utf8(verdict.explained)}});
  }
  return json::object{{"verdicts", std::move(json)}};
}

Reply collect(Request& request) {
  RetentionOptions options{.older_than = request.time("olderThanMs"),
                           .keep = request.integer("keep"),
                           .max_bytes = request.integer("maxBytes")};
  if (!options.older_than && !options.keep && !options.max_bytes)
    options = retention_options(request.client.place->config());
  options.undelivered = request.is_true("undelivered");
  options.dry_run = request.is_true("dryRun");
  auto removed = request.manager().upkeep().collect_garbage(options);
  if (!removed) return failed(removed.error());
  json::array ids, kept;
  for (const auto& id : removed->tasks) ids.emplace_back(id.str());
  for (const auto& text : removed->kept) kept.emplace_back(to_valid_utf8(text));
  return json::object{{"removed", std::move(ids)},           {"bytes", removed->bytes}, {"litter", removed->litter},
                      {"undelivered", removed->undelivered}, {"kept", std::move(kept)}, {"dryRun", options.dry_run}};
}

Reply close(Request& request) {
  auto active = request.manager().list();
  if (!active) return failed(active.error());
  std::vector<Task> stopped;
  if (!request.is_true("keep")) {
    auto another = request.client.place->open_another();
    if (!another) return failed(another.error());
    auto closed = another->close();
    if (!closed) return failed(closed.error());
    stopped = std::move(*closed);
  }
  std::erase_if(*active, [&](const Task& task) { return std::ranges::count(stopped, task.id, &Task::id) > 0; });
  return json::object{{"stopped", tasks_json(stopped)}, {"kept", tasks_json(*active)}};
}

Reply doctor(Request& request) {
  auto findings = request.manager().upkeep().doctor();
  if (!findings) return failed(findings.error());
  json::array json;
  for (const auto& finding : *findings)
    json.push_back(json::object{{"level", finding.level == Finding::Level::problem ? "problem" : "note"},
                                {"what", to_valid_utf8(finding.what)},
                                {"text", to_valid_utf8(finding.text)}});
  return json::object{{"findings", std::move(json)}};
}

Reply list_agents(Request& request) {
  json::array json;
  for (const auto& [name, agent] : agent_definitions(request.client.place->config())) {
    json::array commands;
    for (const auto& command : agent.commands) {
      std::string line;
      for (const auto& word : command) line += (line.empty() ? "" : " ") + word;
      commands.emplace_back(to_valid_utf8(line));
    }
    json.push_back(
        json::object{{"name", name}, {"commands", std::move(commands)}, {"permission", name_of(agent.permission)}});
  }
  return json::object{{"agents", std::move(json)}};
}

constexpr Field kInitializeParams[] = {
    {"protocol", "Versions", "the protocol numbers that the client speaks", true},
    {"client", "Program", "for logs"},
    {"session", "string", "folder of the session (default: the server's)"},
    {"owner", "string", "owner of what this connection starts, and whose notifications it claims"},
};
constexpr Field kInitializeResult[] = {
    {"protocol", "integer", "the number that both speak", true},
    {"server", "Program", "", true},
    {"capabilities", "Capabilities", "", true},
    {"session", "string", "absolute path of the session's folder", true},
};
constexpr Field kSessions[] = {{"sessions", "Session[]", "", true}};
constexpr Field kReconcileParams[] = {
    {"adopt", "boolean", "a person's decision: what cannot be verified counts as lost"},
    {"queueOnly", "boolean", "only start queued tasks again whose runner was killed"},
};
constexpr Field kVerdicts[] = {{"verdicts", "Verdict[]", "", true}};
constexpr Field kGcParams[] = {
    {"olderThanMs", "integer", "tasks that ended before that"},
    {"keep", "integer", "all but the newest N"},
    {"maxBytes", "integer", "the oldest, until the rest takes no more"},
    {"undelivered", "boolean", "also tasks with an undelivered notification"},
    {"dryRun", "boolean", "only say what would go"},
};
constexpr Field kGcResult[] = {
    {"removed", "string[]", "ids", true},
    {"bytes", "integer", "given back to the disk", true},
    {"litter", "integer", "files of dead processes that were removed besides", true},
    {"undelivered", "integer", "tasks kept because of an undelivered notification", true},
    {"kept", "string[]", "what could not be removed, and why", true},
    {"dryRun", "boolean", "", true},
};
constexpr Field kCloseParams[] = {{"keep", "boolean", "stop nothing: only say what runs on"}};
constexpr Field kCloseResult[] = {
    {"stopped", "Task[]", "", true},
    {"kept", "Task[]", "tasks that run on", true},
};
constexpr Field kFindings[] = {{"findings", "Finding[]", "", true}};
constexpr Field kAgents[] = {{"agents", "Agent[]", "", true}};

constexpr Method kSessionMethods[] = {
    {.name = "initialize",
     .help = "Begins a connection. Any other call before it fails with -32002.",
     .params = kInitializeParams,
     .result = kInitializeResult,
     .handle = initialize},
    {.name = "session.list",
     .help =
         "The sessions below the state folder, this one, those of `rpc.sessions` in the configuration, and the newest "
         "of other programs. The disk is not searched.",
     .result = kSessions,
     .handle = list_sessions},
    {.name = "session.doctor", .help = "What is wrong with the session.", .result = kFindings, .handle = doctor},
    {.name = "session.reconcile",
     .help = "Settles what can be proven about tasks whose runner is gone.",
     .writes = true,
     .repeat = Repeat::yes,
     .params = kReconcileParams,
     .result = kVerdicts,
     .handle = reconcile},
    {.name = "session.gc",
     .help = "Removes ended tasks by age, number or size; without any of these as configured.",
     .writes = true,
     .repeat = Repeat::no,
     .params = kGcParams,
     .result = kGcResult,
     .handle = collect},
    {.name = "session.close",
     .help = "Stops every task whose lifetime is `session`, and waits for it.",
     .writes = true,
     .repeat = Repeat::no,
     .params = kCloseParams,
     .result = kCloseResult,
     .handle = close},
    {.name = "agent.list", .help = "The agents that agent.start knows.", .result = kAgents, .handle = list_agents},
};

}  // namespace

std::span<const Method> session_methods() {
  return kSessionMethods;
}

}  // namespace perdure::rpc
