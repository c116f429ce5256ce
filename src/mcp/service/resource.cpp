#include "mcp/service/resource.h"

#include "base/clock.h"
#include "base/try.h"
#include "base/utf8.h"
#include "mcp/service/describe.h"

#include <sys/stat.h>

#include <fmt/format.h>

#include <algorithm>

namespace perdure::mcp {
namespace {

constexpr std::string_view kScheme = "task://", kOutput = "/output";
constexpr std::size_t kListed = 100;

// Without the type of the enclosing block: links and entries of the list have the same members.
std::optional<json::object> output_entry(const Service& service, const TaskId& id) {
  auto path = service.manager().output_path(id);
  if (!path || !*path) return std::nullopt;
  json::object entry{{"uri", ResourceName{id, true}.uri()},
                     {"name", fmt::format("output of {}", id.str())},
                     {"mimeType", "text/plain"}};
  struct stat found{};
  if (::stat((*path)->c_str(), &found) == 0) {
    entry["size"] = std::int64_t{found.st_size};
    entry["annotations"] =
        json::object{{"lastModified", iso_time(found.st_mtim.tv_sec * 1000 + found.st_mtim.tv_nsec / 1'000'000)}};
  }
  return entry;
}

}  // namespace

std::optional<ResourceName> ResourceName::parse(std::string_view uri) {
  if (!uri.starts_with(kScheme)) return std::nullopt;
  uri.remove_prefix(kScheme.size());
  const bool is_output = uri.ends_with(kOutput);
  if (is_output) uri.remove_suffix(kOutput.size());
  auto id = TaskId::parse(uri);
  if (!id) return std::nullopt;
  return ResourceName{std::move(*id), is_output};
}

std::string ResourceName::uri() const {
  return fmt::format("{}{}{}", kScheme, id.str(), is_output ? kOutput : "");
}

std::optional<json::object> output_link(const Service& service, const TaskId& id) {
  auto entry = output_entry(service, id);
  if (!entry) return std::nullopt;
  json::object link{{"type", "resource_link"}};
  for (auto& member : *entry) link[member.key()] = std::move(member.value());
  return link;
}

Reply list_resources(const Service& service, const Request& request) {
  auto tasks = service.manager().list({.ended = true, .owner = service.owner_of(request.caller)});
  if (!tasks) return fault(jsonrpc::kInternalError, tasks.error().message);
  json::array resources;
  for (auto task = tasks->rbegin(); task != tasks->rend() && resources.size() < 2 * kListed; ++task) {
    resources.push_back(json::object{
        {"uri", ResourceName{task->id, false}.uri()},
        {"name", task->id.str()},
        {"title", to_valid_utf8(task->description)},
        {"description", fmt::format("{}: {}", name_of(task->status), to_valid_utf8(task->description))},
        {"mimeType", "application/json"},
        {"annotations", json::object{{"lastModified", iso_time(ms_of(task->ended_at.value_or(task->started_at)))}}}});
    if (auto log = output_entry(service, task->id)) {
      (*log)["description"] = fmt::format("What {} printed", task->id.str());
      resources.emplace_back(std::move(*log));
    }
  }
  return json::object{{"resources", std::move(resources)}};
}

json::object list_resource_templates() {
  return {{"resourceTemplates",
           json::array{json::object{{"uriTemplate", "task://{taskId}/output"},
                                    {"name", "task-output"},
                                    {"title", "A task's output"},
                                    {"description", "The end of what a task printed; size is that of the whole."},
                                    {"mimeType", "text/plain"}},
                       json::object{{"uriTemplate", "task://{taskId}"},
                                    {"name", "task"},
                                    {"title", "A task"},
                                    {"description", "Everything that is known about a task."},
                                    {"mimeType", "application/json"}}}}};
}

Reply read_resource(const Service& service, const Request& request) {
  TRY(auto uri, text_param(request, "uri"));
  const auto name = ResourceName::parse(uri);
  if (!name) return unknown_resource(request.caller, uri);
  auto task = service.look_at(name->id.str());
  if (!task && task.error().code == ErrorCode::task_not_found) return unknown_resource(request.caller, uri);
  if (!task) return fault(jsonrpc::kInternalError, task.error().message);
  json::object contents{{"uri", uri}};
  if (name->is_output) {
    auto output = service.manager().output_snapshot(name->id, Service::preview_limit(request.caller));
    if (!output) return fault(jsonrpc::kInternalError, output.error().message);
    contents["mimeType"] = "text/plain";
    contents["text"] = output->preview;
  } else {
    contents["mimeType"] = "application/json";
    contents["text"] = json::serialize(describe(*task));
  }
  return json::object{{"contents", json::array{std::move(contents)}}};
}

std::unexpected<Fault> unknown_resource(const Caller& caller, std::string_view uri) {
  return fault(caller.era == Era::modern ? jsonrpc::kInvalidParams : kLegacyResourceNotFound, "Resource not found",
               json::object{{"uri", uri}});
}

}  // namespace perdure::mcp
