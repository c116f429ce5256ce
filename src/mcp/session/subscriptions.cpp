// subscriptions/listen of the modern era, resources/subscribe of the legacy one.

#include "base/try.h"
#include "mcp/session/server.h"
#include "mcp/session/task_methods.h"

#include <poll.h>

#include <fmt/format.h>

#include <cerrno>

namespace perdure::mcp {
namespace {

constexpr std::size_t kMostSubscriptions = 256;  // of one conversation or stream

// The strings of an optional member. Fault: it has another type.
std::expected<std::vector<std::string>, Fault> texts_in(const json::object& members, std::string_view key) {
  const auto* const found = members.if_contains(key);
  std::vector<std::string> texts;
  if (found == nullptr || found->is_null()) return texts;
  const auto wrong = [&] {
    return fault(jsonrpc::kInvalidParams, fmt::format("Invalid params: {} must be an array of strings", key));
  };
  if (!found->is_array()) return wrong();
  for (const auto& item : found->get_array()) {
    if (!item.is_string()) return wrong();
    texts.emplace_back(item.get_string());
  }
  if (texts.size() > kMostSubscriptions)
    return fault(jsonrpc::kInvalidParams,
                 fmt::format("Invalid params: {} has more than the maximum of {}", key, kMostSubscriptions));
  return texts;
}

void sleep_until_raised(const jsonrpc::Signal& signal) {
  while (!signal.is_raised()) {
    pollfd look{.fd = signal.fd(), .events = POLLIN, .revents = 0};
    if (::poll(&look, 1, -1) < 0 && errno != EINTR) return;
  }
}

}  // namespace

// Lives as long as the stream. Subscriptions that are not supported (to changes of lists, which never change here) are
// left out of the acknowledgement.
Reply Server::listen(Request& request) {
  const auto* const wanted = request.param("notifications");
  if (wanted == nullptr || !wanted->is_object())
    return fault(jsonrpc::kInvalidParams, "Invalid params: notifications must be an object");
  auto uris = texts_in(wanted->get_object(), "resourceSubscriptions");
  auto tasks = texts_in(wanted->get_object(), "taskIds");
  if (!uris) return std::unexpected(uris.error());
  if (!tasks) return std::unexpected(tasks.error());
  if (!tasks->empty() && !request.caller.has_tasks())
    return missing_capability(fmt::format("taskIds needs the extension {}", kTasksExtension),
                              {{"extensions", json::object{{kTasksExtension, json::object()}}}});
  const json::object tag{{kSubscriptionKey, request.id}};
  const auto send = [&request, &tag](std::string_view method, json::object params) {
    params["_meta"] = tag;
    request.outlet.send(jsonrpc::make_notification(method, std::move(params)));
  };
  Watch::Interest interest;
  json::object acknowledged;
  if (!uris->empty()) acknowledged["resourceSubscriptions"] = json::array(uris->begin(), uris->end());
  interest.uris = {uris->begin(), uris->end()};
  interest.on_resource = [&](const std::string& uri) { send("notifications/resources/updated", {{"uri", uri}}); };
  json::array known;
  for (const auto& text : *tasks) {
    auto id = TaskId::parse(text);
    if (!id || !service_.manager().get(*id)) continue;
    known.emplace_back(text);
    interest.tasks.insert(std::move(*id));
  }
  if (!known.empty()) acknowledged["taskIds"] = std::move(known);
  interest.on_task = [&](const Task& task) {
    send("notifications/tasks", detailed_task(service_, request.caller, task));
  };
  const std::set<TaskId> asked = interest.tasks;
  send("notifications/subscriptions/acknowledged", {{"notifications", std::move(acknowledged)}});
  const bool has_something = !interest.uris.empty() || !interest.tasks.empty();
  std::optional<Watch::Ticket> ticket;
  if (has_something) {
    auto told = watch_.tell(interest);
    if (!told) return fault(jsonrpc::kInternalError, told.error().message);
    ticket = *told;
    // An end before the watch began would not be reported otherwise.
    for (const auto& id : asked)
      if (const auto task = service_.manager().get(id); task && is_terminal(task->status)) interest.on_task(*task);
  }
  sleep_until_raised(request.call.stop);
  if (ticket) watch_.forget(*ticket);
  return json::object{{"_meta", tag}};
}

Reply Server::subscribe(Request& request) {
  TRY(auto uri, text_param(request, "uri"));
  Conversation& conversation = *request.conversation;
  {
    const std::lock_guard lock(conversation.mutex);
    if (conversation.subscriptions.contains(uri)) return json::object();
    if (conversation.subscriptions.size() >= kMostSubscriptions)
      return fault(jsonrpc::kInvalidRequest, fmt::format("more than {} subscriptions", kMostSubscriptions));
  }
  auto ticket =
      watch_.tell({.uris = {uri},
                   .on_resource =
                       [&outlet = conversation.outlet](const std::string& changed) {
                         outlet.send(jsonrpc::make_notification("notifications/resources/updated", {{"uri", changed}}));
                       },
                   .on_task = [](const Task&) {}});
  if (!ticket) return fault(jsonrpc::kInternalError, ticket.error().message);
  const std::lock_guard lock(conversation.mutex);
  conversation.subscriptions[uri] = *ticket;
  return json::object();
}

Reply Server::unsubscribe(Request& request) {
  TRY(auto uri, text_param(request, "uri"));
  Watch::Ticket ticket = 0;
  {
    const std::lock_guard lock(request.conversation->mutex);
    const auto found = request.conversation->subscriptions.find(uri);
    if (found == request.conversation->subscriptions.end()) return json::object();
    ticket = found->second;
    request.conversation->subscriptions.erase(found);
  }
  watch_.forget(ticket);
  return json::object();
}

}  // namespace perdure::mcp
