#include "mcp/service/delivery.h"

#include "mcp/service/news.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::mcp {
namespace {

constexpr std::string_view kVia = "mcp";
constexpr std::size_t kMostAtOnce = 20;  // in one answer: more would bury the result

void after_answer(Request& request, std::function<void()> more) {
  request.after_answer = [before = std::move(request.after_answer), more = std::move(more)] {
    if (before) before();
    more();
  };
}

// Claimed notifications: acknowledged once the answer was written, else released for the next answer.
class Claim {
 public:
  Claim(TaskManager& manager, std::vector<Notification> news) : manager_(manager), news_(std::move(news)) {}
  ~Claim() { manager_.notifications().release(news_); }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

  void acknowledge() {
    std::vector<std::string> ids;
    ids.reserve(news_.size());
    for (const auto& one : news_) ids.push_back(one.id);
    // On failure it is notified again, which is better than never.
    [[maybe_unused]] const auto done = manager_.notifications().acknowledge(ids, kVia);
    news_.clear();
  }

 private:
  TaskManager& manager_;
  std::vector<Notification> news_;
};

// Tasks whose end is in an answer. The next call may come before they are acknowledged; if the answer is never written,
// their owner is notified later.
class Telling {
 public:
  Telling(Service& service, std::vector<std::string> ids) : service_(service), ids_(std::move(ids)) {
    service_.begin_telling(ids_);
  }
  ~Telling() { service_.end_telling(ids_); }
  Telling(const Telling&) = delete;
  Telling& operator=(const Telling&) = delete;

  void acknowledge() {
    // On failure it is notified again, which is better than never.
    [[maybe_unused]] const auto done = service_.manager().notifications().acknowledge(ids_, kVia);
  }

 private:
  Service& service_;
  std::vector<std::string> ids_;
};

bool is_being_told(const std::multiset<std::string>& telling, const Notification& news) {
  return std::ranges::all_of(news.tasks, [&](const TaskId& id) { return telling.contains(id.str()); });
}

bool is_told_by(const ToolResult& result, const Notification& news) {
  return std::ranges::all_of(news.tasks, [&](const TaskId& id) {
    return std::ranges::find(result.delivered, id, &Task::id) != result.delivered.end();
  });
}

}  // namespace

void note_delivered(Service& service, Request& request, const std::vector<Task>& tasks) {
  std::vector<std::string> ids;
  const std::string owner = service.owner_of(request.caller);
  for (const auto& task : tasks)
    if (task.owner == owner && is_terminal(task.status) && !task.notification.notified_at) ids.push_back(task.id.str());
  if (ids.empty()) return;
  auto telling = std::make_shared<Telling>(service, std::move(ids));
  after_answer(request, [telling = std::move(telling)] { telling->acknowledge(); });
}

void add_news(Service& service, Request& request, ToolResult& result) {
  // Before the claim: a notification that is acknowledged in between is in neither.
  const auto telling = service.telling();
  auto claimed =
      service.manager().notifications().claim({.owner = service.owner_of(request.caller), .most = kMostAtOnce});
  if (!claimed || claimed->empty()) return;  // notifications that can't be read now come with the next answer
  const auto kept = std::ranges::partition(*claimed, [&](const Notification& news) {
    return !is_told_by(result, news) && !is_being_told(telling, news) &&
           left_to_polling(service.manager(), news).count() == 0;
  });
  service.manager().notifications().release({kept.begin(), kept.end()});
  claimed->erase(kept.begin(), kept.end());
  if (claimed->empty()) return;
  json::array list;
  if (!result.text.ends_with('\n')) result.text += '\n';
  for (const auto& news : *claimed) {
    result.text += "\n" + news_xml(news, request.caller) + "\n";
    list.push_back(news_members(news, request.caller));
  }
  if (!result.structured.empty()) result.structured["notifications"] = std::move(list);
  auto claim = std::make_shared<Claim>(service.manager(), std::move(*claimed));
  after_answer(request, [claim = std::move(claim)] { claim->acknowledge(); });
}

}  // namespace perdure::mcp
