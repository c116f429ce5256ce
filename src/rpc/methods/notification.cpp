#include "base/clock.h"
#include "rpc/methods/methods.h"

#include <algorithm>

// notifications.*
namespace perdure::rpc {
namespace {

json::object news_json(const std::vector<Notification>& news) {
  json::array json;
  for (const auto& one : news) json.push_back(parsed(notification_json(one)));
  return {{"notifications", std::move(json)}};
}

Reply list_notifications(Request& request) {
  auto news = request.manager().notifications().pending(request.owner());
  if (!news) return failed(news.error());
  return news_json(*news);
}

Reply claim(Request& request) {
  ClaimOptions options{.owner = request.owner(), .lease = request.time("leaseMs")};
  if (const auto most = request.integer("limit")) options.most = static_cast<std::size_t>(*most);
  auto news = request.manager().notifications().claim(options);
  if (!news) return failed(news.error());
  if (!options.lease) {
    const std::lock_guard lock(request.client.mutex);
    std::ranges::copy(*news, std::back_inserter(request.client.claimed));
  }
  return news_json(*news);
}

Reply acknowledge(Request& request) {
  const auto ids = request.texts("ids");
  auto done = request.manager().notifications().acknowledge(ids, request.text("via").value_or("rpc"));
  if (!done) return failed(done.error());
  const std::lock_guard lock(request.client.mutex);
  std::erase_if(request.client.claimed, [&](const Notification& one) {
    return std::ranges::count(ids, one.id) > 0 ||
           std::ranges::any_of(one.tasks, [&](const TaskId& id) { return std::ranges::count(ids, id.str()) > 0; });
  });
  return json::object{};
}

Reply await(Request& request) {
  auto came = request.manager().notifications().await({.owner = request.owner(),
                                                       .timeout = request.time("timeoutMs"),
                                                       .cancel = Cancellation::when_readable(request.call.stop.fd())});
  if (!came) return failed(came.error());
  return json::object{{"available", *came}};
}

constexpr Field kOwner[] = {{"owner", "string", "only of this owner's tasks (else the connection's, else all)"}};
constexpr Field kNews[] = {{"notifications", "Notification[]", "oldest first", true}};
constexpr Field kClaimParams[] = {
    {"owner", "string", "only of this owner's tasks (else the connection's, else all)"},
    {"leaseMs", "integer", "how long the claim stands (default: while this connection lives, and 60 s at most)"},
    {.name = "limit", .type = "integer", .help = "tasks at once (default 256)", .least = 1, .most = 65'536},
};
constexpr Field kAckParams[] = {
    {"ids", "string[]", "of notifications or tasks", true},
    {"via", "string", "the channel that delivered it, in a word (default: rpc)"},
};
constexpr Field kAwaitParams[] = {
    {"owner", "string", "only of this owner's tasks (else the connection's, else all)"},
    {"timeoutMs", "integer", "give up after that long"},
};
constexpr Field kAwaitResult[] = {{"available", "boolean", "false: the time passed first", true}};

constexpr Method kNotificationMethods[] = {
    {.name = "notifications.list",
     .help = "The undelivered notifications. Claims nothing.",
     .params = kOwner,
     .result = kNews,
     .handle = list_notifications},
    {.name = "notifications.claim",
     .help = "The same, but only what no other process delivers; others leave them to this connection. Deliver them, "
             "then acknowledge them.",
     .writes = true,
     .repeat = Repeat::yes,
     .params = kClaimParams,
     .result = kNews,
     .handle = claim},
    {.name = "notifications.ack",
     .help = "The owner has been notified: it is not notified again. Idempotent.",
     .writes = true,
     .repeat = Repeat::yes,
     .params = kAckParams,
     .handle = acknowledge},
    {.name = "notifications.await",
     .help = "Waits until there is something to claim.",
     .writes = true,
     .repeat = Repeat::yes,
     .params = kAwaitParams,
     .result = kAwaitResult,
     .handle = await},
};

}  // namespace

std::span<const Method> notification_methods() {
  return kNotificationMethods;
}

}  // namespace perdure::rpc
