#include "mcp/session/server.h"

#include "base/try.h"
#include "mcp/protocol/client.h"
#include "mcp/service/delivery.h"
#include "mcp/service/describe.h"
#include "mcp/session/task_methods.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#ifndef PERDURE_VERSION
#error "PERDURE_VERSION is set by the build"
#endif

namespace perdure::mcp {
namespace {

constexpr std::string_view kInstructions =
    "Perdure runs commands as durable background tasks. A task survives this conversation, this server and a restart "
    "of the agent; its output, exit code and outcome are kept. Start what takes long with @Bash and run_in_background, "
    "go on with other work, then @WaitFor or @TaskOutput with its task_id. After a restart, @TaskList shows what still "
    "runs.";

std::string instructions_for(const Caller& caller) {
  const ClientTraits& client = traits_of(caller);
  std::string text = with_tool_names(kInstructions, client);
  if (client.is_known) text += with_tool_names(fmt::format(" {}", kWhoseIds), client);
  return text;
}

json::object server_info() {
  return {{"name", "perdure"}, {"title", "Perdure"}, {"version", PERDURE_VERSION}};
}

// What a client may cache, and for how long: nothing, since tasks change at any time and belong to one caller.
void add_caching(json::object& result) {
  result["ttlMs"] = 0;
  result["cacheScope"] = "private";
}

bool is_cacheable(std::string_view method) {
  constexpr std::array<std::string_view, 6> kCacheable = {
      "tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read", "server/discover"};
  return std::ranges::find(kCacheable, method) != kCacheable.end();
}

std::string client_name(const json::object* info) {
  const auto* const name = info == nullptr ? nullptr : info->if_contains("name");
  return name != nullptr && name->is_string() ? std::string(name->get_string()) : "";
}

const json::object* object_in(const json::object& members, std::string_view key) {
  const auto* const found = members.if_contains(key);
  return found == nullptr ? nullptr : found->if_object();
}

}  // namespace

bool Server::is_modern(const jsonrpc::Message& message) {
  if (message.method == "server/discover") return true;
  const auto* const meta = object_in(message.params, "_meta");
  return meta != nullptr && meta->contains(kVersionKey);
}

std::expected<Caller, Fault> Server::modern_caller(const jsonrpc::Message& message) {
  const auto* const meta = object_in(message.params, "_meta");
  const auto lacks = [](std::string_view key) {
    return fault(jsonrpc::kInvalidParams, fmt::format("Invalid params: _meta must have {}", key));
  };
  const auto* const version = meta == nullptr ? nullptr : meta->if_contains(kVersionKey);
  if (version == nullptr || !version->is_string()) return lacks(kVersionKey);
  const auto* const declared = object_in(*meta, kCapabilitiesKey);
  if (declared == nullptr) return lacks(kCapabilitiesKey);
  if (std::ranges::find(kModernVersions, std::string_view(version->get_string())) == kModernVersions.end())
    return fault(kUnsupportedVersion,
                 fmt::format("Unsupported protocol version; supported: {}", fmt::join(kModernVersions, ", ")),
                 json::object{{"supported", json::array(kModernVersions.begin(), kModernVersions.end())},
                              {"requested", *version}});
  return Caller{.era = Era::modern,
                .version = std::string(version->get_string()),
                .name = client_name(object_in(*meta, kClientInfoKey)),
                .capabilities = *declared};
}

bool Server::is_quick(const std::string& method) {
  return method == "initialize" || method == "ping" || method == "server/discover" || method == "tools/list" ||
         method == "prompts/list" || method == "resources/templates/list";
}

Reply Server::answer(Request& request) {
  const bool modern = request.caller.era == Era::modern;
  Reply reply = modern ? answer_modern(request) : answer_legacy(request);
  if (!reply) return reply;
  if (extras_ != nullptr) extras_->extend(request.method, *reply, request.caller);
  if (!modern) return reply;
  if (!reply->contains("resultType")) (*reply)["resultType"] = "complete";
  if (is_cacheable(request.method)) add_caching(*reply);
  auto& meta = (*reply)["_meta"];
  if (!meta.is_object()) meta = json::object();
  meta.get_object()[kServerInfoKey] = server_info();
  return reply;
}

Reply Server::answer_modern(Request& request) {
  if (request.method == "server/discover") return discover(request);
  if (request.method == "subscriptions/listen") return listen(request);
  if (auto common = answer_common(request)) return std::move(*common);
  return unknown_method(request.method);
}

Reply Server::answer_legacy(Request& request) {
  if (request.method == "initialize") return initialize(request);
  if (request.method == "ping") return json::object();
  if (request.conversation == nullptr || !request.conversation->is_initialized)
    return fault(jsonrpc::kInvalidRequest,
                 "Invalid request: the first one must be initialize, or have _meta with " + std::string(kVersionKey));
  if (request.method == "resources/subscribe") return subscribe(request);
  if (request.method == "resources/unsubscribe") return unsubscribe(request);
  if (auto common = answer_common(request)) return std::move(*common);
  return unknown_method(request.method);
}

std::optional<Reply> Server::answer_common(Request& request) {
  if (extras_ != nullptr)
    if (auto extra = extras_->answer(service_, request)) return extra;
  if (request.method == "tools/list") return list_tools(request);
  if (request.method == "tools/call") return call_tool(request);
  if (request.method == "resources/list") return list_resources(service_, request);
  if (request.method == "resources/templates/list") return list_resource_templates();
  if (request.method == "resources/read") return read_resource(service_, request);
  return answer_task_method(service_, request);
}

json::object Server::capabilities(const Caller& caller) const {
  json::object able{{"tools", json::object()}, {"resources", json::object{{"subscribe", true}}}};
  if (caller.era == Era::modern) {
    able["extensions"] = json::object{{kTasksExtension, json::object()}};
  } else if (caller.knows("2025-11-25")) {
    able["tasks"] = json::object{{"list", json::object()},
                                 {"cancel", json::object()},
                                 {"requests", json::object{{"tools", json::object{{"call", json::object()}}}}}};
  }
  if (extras_ != nullptr) extras_->add_capabilities(able, caller);
  return able;
}

Reply Server::discover(const Request& request) const {
  return json::object{{"supportedVersions", json::array(kModernVersions.begin(), kModernVersions.end())},
                      {"capabilities", capabilities(request.caller)},
                      {"instructions", instructions_for(request.caller)}};
}

Reply Server::initialize(Request& request) const {
  TRY(auto version, text_param(request, "protocolVersion"));
  Caller caller{.era = Era::legacy, .version = version};
  if (std::ranges::find(kLegacyVersions, std::string_view(version)) == kLegacyVersions.end())
    caller.version = kLegacyVersions.front();
  caller.name = client_name(object_in(request.params, "clientInfo"));
  if (const auto* const declared = object_in(request.params, "capabilities")) caller.capabilities = *declared;
  json::object info = server_info();
  if (!caller.knows("2025-06-18")) info.erase("title");
  json::object result{{"protocolVersion", caller.version},
                      {"capabilities", capabilities(caller)},
                      {"serverInfo", std::move(info)},
                      {"instructions", instructions_for(caller)}};
  if (request.conversation != nullptr) {
    request.conversation->caller = std::move(caller);
    request.conversation->is_initialized = true;
  }
  return result;
}

Reply Server::list_tools(const Request& request) const {
  json::array tools;
  for (const Tool* tool : all_tools()) tools.emplace_back(listed(*tool, request.caller));
  return json::object{{"tools", std::move(tools)}};
}

Reply Server::call_tool(Request& request) {
  TRY(auto name, text_param(request, "name"));
  const auto tools = all_tools();
  const auto found = std::ranges::find(tools, std::string_view(name), &Tool::name);
  if (found == tools.end()) return fault(jsonrpc::kInvalidParams, fmt::format("Unknown tool: {}", name));
  const Tool& tool = **found;
  const auto* const given = request.param("arguments");
  if (given != nullptr && !given->is_object() && !given->is_null())
    return fault(jsonrpc::kInvalidParams, "Invalid params: arguments must be an object");
  if (request.asks_for_task() && !tool.may_be_task)
    return fault(jsonrpc::kMethodNotFound, fmt::format("{} can't be called as a task", tool.name));
  auto arguments =
      Arguments::check(tool.parameters, given == nullptr || given->is_null() ? json::object() : given->get_object());
  // A wrong argument is a result, not an error, so that the model can read it and correct the call.
  if (!arguments) return call_result(service_, tool_error(arguments.error()), request.caller);
  ToolCall call{.service = service_, .request = request, .arguments = *arguments};
  ToolAnswer answer = tool.call(call);
  if (auto* const started = std::get_if<TaskStarted>(&answer)) return answer_with_task(request, std::move(*started));
  if (auto* const needed = std::get_if<InputNeeded>(&answer))
    return json::object{{"resultType", "input_required"},
                        {"inputRequests", std::move(needed->requests)},
                        {"requestState", std::move(needed->state)}};
  auto& result = std::get<ToolResult>(answer);
  note_delivered(service_, request, result.delivered);
  add_news(service_, request, result);
  return call_result(service_, result, request.caller);
}

json::object Server::answer_with_task(Request& request, TaskStarted started) {
  if (request.caller.has_tasks()) {
    json::object created = extension_task(as_created(started.task));
    created["resultType"] = "task";
    return created;
  }
  if (!request.asks_for_task()) {
    add_news(service_, request, started.told);
    return call_result(service_, started.told, request.caller);
  }
  Conversation& conversation = *request.conversation;
  const auto tell = [&outlet = conversation.outlet](const Task& task) {
    outlet.send(jsonrpc::make_notification("notifications/tasks/status", legacy_task(task)));
  };
  // A failure loses the status updates, not the task.
  auto ticket = watch_.tell({.tasks = {started.task.id}, .on_resource = [](const std::string&) {}, .on_task = tell});
  if (ticket) {
    const std::lock_guard lock(conversation.mutex);
    conversation.tasks.push_back(*ticket);
  }
  // An end before the watch began would not be reported otherwise.
  if (const auto now = service_.manager().get(started.task.id); now && is_terminal(now->status)) tell(*now);
  return {{"task", legacy_task(as_created(started.task))},
          {"_meta", json::object{{"io.modelcontextprotocol/model-immediate-response", started.told.text}}}};
}

std::vector<MirroredArgument> Server::mirrored_arguments(const jsonrpc::Message& message) const {
  const auto* const name = message.params.if_contains("name");
  if (extras_ == nullptr || message.method != "tools/call" || name == nullptr || !name->is_string()) return {};
  return extras_->mirrored_arguments(name->get_string());
}

void Server::forget(Conversation& conversation) {
  std::vector<Watch::Ticket> tickets;
  {
    const std::lock_guard lock(conversation.mutex);
    tickets.swap(conversation.tasks);
    for (const auto& [uri, ticket] : conversation.subscriptions) tickets.push_back(ticket);
    conversation.subscriptions.clear();
  }
  for (const auto ticket : tickets) watch_.forget(ticket);
}

}  // namespace perdure::mcp
