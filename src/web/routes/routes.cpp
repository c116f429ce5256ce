#include "web/routes/routes.h"

#include <map>

namespace perdure::web {
namespace {

constexpr Route kRoutes[] = {
    {"GET", "/api/v1/sessions", "session.list"},
    {"GET", "/api/v1/sessions/{s}/tasks", "task.list"},
    {"POST", "/api/v1/sessions/{s}/tasks", "task.start", Right::start},
    {"POST", "/api/v1/sessions/{s}/agents", "agent.start", Right::start},
    {"GET", "/api/v1/sessions/{s}/tasks/{id}", "task.get"},
    {"DELETE", "/api/v1/sessions/{s}/tasks/{id}", "task.remove", Right::act},
    {"GET", "/api/v1/sessions/{s}/tasks/{id}/window", "task.output"},
    {"GET", "/api/v1/sessions/{s}/search", "task.search"},
    {"GET", "/api/v1/sessions/{s}/tasks/{id}/search", "task.search"},
    {"GET", "/api/v1/sessions/{s}/tasks/{id}/failure", "task.firstFailure"},
    {"GET", "/api/v1/sessions/{s}/tasks/{id}/activity", "task.activity"},
    {"GET", "/api/v1/sessions/{s}/tasks/{id}/processes", "task.processes"},
    {"GET", "/api/v1/sessions/{s}/tasks/{id}/question", "question.get"},
    {"GET", "/api/v1/sessions/{s}/tasks/{id}/log", "", Right::look,
     "The bytes of the log. A Range is cut where bytes were not kept; inside such a gap: 416 with output.expired."},
    {"POST", "/api/v1/sessions/{s}/tasks/{id}/download", "", Right::look,
     "A URL from which the whole log can be saved: valid for 30 s, and once. `{url}`."},
    {"GET", "/api/v1/sessions/{s}/tasks/{id}/download", "", Right::look,
     "The whole log as a file, as it is now, with a marker where bytes were not kept. With `ticket` no token is "
     "needed."},
    {"GET", "/api/v1/sessions/{s}/tasks/{id}/lines", "", Right::look,
     "Lines of the log as the page shows them: runs of harmless text with attributes. `at` and `count` from there, "
     "with "
     "`back=true` before it; without `at` the last ones. With `seen` and `waitMs` it waits until the log is larger."},
    {"POST", "/api/v1/sessions/{s}/tasks/{id}/stop", "task.stop", Right::act},
    {"POST", "/api/v1/sessions/{s}/tasks/{id}/extend", "task.extend", Right::act},
    {"POST", "/api/v1/sessions/{s}/tasks/{id}/detach", "task.detach", Right::act},
    {"POST", "/api/v1/sessions/{s}/tasks/{id}/answer", "question.answer", Right::act},
    {"POST", "/api/v1/sessions/{s}/tasks/{id}/rerun", "task.rerun", Right::start},
    {"POST", "/api/v1/sessions/{s}/tasks/{id}/edit", "task.edit", Right::start},
    {"POST", "/api/v1/sessions/{s}/tasks/{id}/write", "task.write", Right::start},
    {"POST", "/api/v1/sessions/{s}/tasks/{id}/signal", "task.signal", Right::start},
    {"GET", "/api/v1/sessions/{s}/doctor", "session.doctor"},
    {"GET", "/api/v1/sessions/{s}/notifications", "notifications.list"},
    {"GET", "/api/v1/server", "", Right::look, "Its host, its session, and what it was started with the right to do."},
    {"GET", "/api/v1/events", "", Right::look,
     "Server-sent events: `event: task.started` and so on, with `id:` being the seq. Last-Event-ID goes on from "
     "there."},
    {"GET", "/metrics", "", Right::look,
     "Numbers about the server's session, for Prometheus; OpenMetrics where Accept asks for it."},
    {"GET", "/api/v1/openapi.json", "", Right::look, "This document."},
};

std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash);
  }
  return parts;
}

bool fits(const Route& route, std::span<const std::string_view> parts, Found& found) {
  const auto wanted = parts_of(route.path);
  if (wanted.size() != parts.size()) return false;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (wanted[i] == "{s}") {
      found.session = parts[i];
    } else if (wanted[i] == "{id}") {
      found.id = parts[i];
    } else if (wanted[i] != parts[i]) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::span<const Route> all_routes() {
  return kRoutes;
}

bool is_download(const Route& route) {
  return route.method == "GET" && route.path.ends_with("/download");
}

Found find_route(std::string_view method, std::string_view path) {
  const auto parts = parts_of(path);
  Found found;
  for (const auto& route : kRoutes) {
    Found one;
    if (!fits(route, parts, one)) continue;
    if (route.method == method) {
      one.route = &route;
      return one;
    }
    found.other_method = true;
  }
  return found;
}

int status_of(const rpc::Fault& fault) {
  if (fault.code == jsonrpc::kInvalidParams) return 400;
  const auto* const data = fault.data.if_object();
  const auto* const code = data == nullptr ? nullptr : data->if_contains("code");
  if (code == nullptr || !code->is_string()) return 500;
  static const std::map<std::string_view, int> statuses = {
      {"task.not_found", 404},      {"task.id_empty", 400},      {"task.id_invalid", 400},
      {"task.limit_exceeded", 429}, {"task.launch_failed", 422}, {"task.not_running", 409},
      {"task.wait_cycle", 409},     {"agent.not_found", 404},    {"agent.not_owned", 403},
      {"agent.busy", 409},          {"question.closed", 409},    {"session.closed", 409},
      {"session.unusable", 500},    {"record.invalid", 500},     {"output.expired", 416},
      {"storage.full", 507},        {"config.invalid", 500},     {"usage", 400},
  };
  const auto found = statuses.find(std::string_view(code->get_string()));
  return found == statuses.end() ? 500 : found->second;
}

}  // namespace perdure::web
