#include "rpc/methods/methods.h"
#include "web/routes/routes.h"

#include <algorithm>

namespace perdure::web {
namespace {

json::object parameter(std::string_view name, std::string_view where, json::object schema) {
  const bool in_path = where == "path";
  json::object one{{"name", name}, {"in", where}, {"required", in_path}};
  if (auto* const text = schema.if_contains("description")) {
    one["description"] = *text;
    schema.erase("description");
  }
  one["schema"] = std::move(schema);
  return one;
}

void add_query(json::array& parameters, std::span<const rpc::Field> fields) {
  for (const auto& field : fields) {
    if (field.name == "id" || field.name == "waitMs" || field.name == "records" || field.name == "stream") continue;
    if (field.type == "Filter") {
      const auto shapes = rpc::all_shapes();
      add_query(parameters, std::ranges::find(shapes, std::string_view("Filter"), &rpc::Shape::name)->fields);
      continue;
    }
    auto schema = rpc::schema_of_members(std::span(&field, 1)).at("properties").at(field.name).as_object();
    auto one = parameter(field.name, "query", std::move(schema));
    if (field.type == "string[]") {
      one["style"] = "form";
      one["explode"] = false;
    }
    parameters.push_back(std::move(one));
  }
}

json::object problem(std::string_view why) {
  return {{"description", why},
          {"content", {{"application/problem+json", {{"schema", {{"$ref", "#/components/schemas/Problem"}}}}}}}};
}

json::object responses_of(const Route& route, const rpc::Method* method) {
  json::object ok{{"description", "what was asked for"}};
  if (method != nullptr) {
    ok["content"] = {{"application/json", {{"schema", rpc::schema_of_members(method->result)}}}};
  } else if (route.path.ends_with("/log")) {
    ok["content"] = {{"text/plain", {{"schema", {{"type", "string"}}}}}};
  } else if (is_download(route)) {
    ok["content"] = {{"application/octet-stream", {{"schema", {{"type", "string"}, {"format", "binary"}}}}}};
  } else if (route.path == "/metrics") {
    ok["content"] = {{"text/plain", {{"schema", {{"type", "string"}}}}}};
  } else if (route.path.ends_with("/events")) {
    ok["content"] = {{"text/event-stream", {{"schema", {{"type", "string"}}}}}};
  } else {
    ok["content"] = {{"application/json", {{"schema", {{"type", "object"}}}}}};
  }
  if (route.rpc == "task.search") ok["content"].as_object()["text/event-stream"] = {{"schema", {{"type", "string"}}}};
  json::object responses{{"200", ok}};
  if (route.rpc == "task.search") responses["429"] = problem("as many searches as may run are running");
  if (route.path.ends_with("/log")) {
    responses["206"] = ok;
    responses["416"] = problem("nothing of the range was kept, or it lies behind the end");
  }
  responses["400"] = problem("the request makes no sense");
  responses["401"] = problem("no token, or a wrong one");
  responses["403"] = problem("another site's page, or not allowed to this server");
  if (route.path.find('{') != std::string_view::npos || route.path.ends_with("/events"))
    responses["404"] = problem("no such session or task");
  if (route.method == "POST") {
    responses["409"] = problem("the task is not in the state for it");
    responses["415"] = problem("the body is not application/json");
  }
  if (route.right == Right::start) {
    responses["422"] = problem("the command can't be started");
    responses["429"] = problem("as many tasks as are allowed are running");
  }
  responses["500"] = problem("the session can't be used");
  if (route.right != Right::look) responses["507"] = problem("the disk is full");
  return responses;
}

std::string operation_id(const Route& route) {
  std::string id(route.rpc);
  if (id.empty()) id = route.path.substr(route.path.rfind('/') + 1);
  if (id == "download" && route.method == "POST") id = "download_url";
  std::ranges::replace(id, '.', '_');
  if (route.path.ends_with("/search") && route.path.find("{id}") == std::string_view::npos) id = "session_search";
  return id;
}

json::object operation_of(const Route& route) {
  const rpc::Method* const method = route.rpc.empty() ? nullptr : rpc::find_method(route.rpc);
  json::object operation{{"operationId", operation_id(route)},
                         {"summary", method == nullptr ? route.help : method->help}};
  json::array parameters;
  if (route.path.find("{s}") != std::string_view::npos)
    parameters.push_back(parameter("s", "path", {{"type", "string"}, {"description", "id of a session"}}));
  if (route.path.find("{id}") != std::string_view::npos)
    parameters.push_back(parameter("id", "path", {{"type", "string"}, {"description", "exact id of a task"}}));
  if (route.path.ends_with("/events")) {
    parameters.push_back(parameter("session", "query", {{"type", "string"}, {"description", "id of a session"}}));
    parameters.push_back(
        parameter("since", "query", {{"type", "integer"}, {"description", "everything after this seq first"}}));
  }
  if (is_download(route))
    parameters.push_back(parameter("ticket", "query", {{"type", "string"}, {"description", "of the URL"}}));
  if (method != nullptr && route.method == "GET") add_query(parameters, method->params);
  if (route.right == Right::start && route.rpc.ends_with(".start"))
    parameters.push_back(
        parameter("Idempotency-Key", "header", {{"type", "string"}, {"description", "instead of idempotencyKey"}}));
  if (!parameters.empty()) operation["parameters"] = std::move(parameters);
  if (method != nullptr && route.method == "POST") {
    auto schema = rpc::schema_of_members(method->params);
    schema["properties"].as_object().erase("id");
    if (auto* const required = schema.if_contains("required")) {
      auto& names = required->as_array();
      for (auto name = names.begin(); name != names.end();) name = *name == "id" ? names.erase(name) : name + 1;
      if (names.empty()) schema.erase("required");
    }
    operation["requestBody"] = {{"required", true},
                                {"content", {{"application/json", {{"schema", std::move(schema)}}}}}};
  }
  operation["responses"] = responses_of(route, method);
  return operation;
}

// The schemas that `text` refers to, directly or through others.
json::object schemas_used_by(std::string text) {
  auto left = rpc::schemas_of_shapes();
  json::object used;
  for (bool found = true; found;) {
    found = false;
    for (auto one = left.begin(); one != left.end();) {
      if (text.find("#/components/schemas/" + std::string(one->key()) + '"') == std::string::npos) {
        ++one;
        continue;
      }
      text += json::serialize(one->value());
      used[one->key()] = one->value();
      one = left.erase(one);
      found = true;
    }
  }
  return used;
}

}  // namespace

std::string openapi_json() {
  json::object paths;
  for (const auto& route : all_routes()) {
    if (!paths.contains(route.path)) paths[route.path] = json::object();
    std::string verb(route.method);
    std::ranges::transform(verb, verb.begin(), [](char c) { return static_cast<char>(c | 0x20); });
    paths[route.path].as_object()[verb] = operation_of(route);
  }
  auto schemas = schemas_used_by(json::serialize(paths));
  schemas["Problem"] = {{"type", "object"},
                        {"description", "RFC 9457."},
                        {"properties",
                         {{"title", {{"type", "string"}}},
                          {"status", {{"type", "integer"}}},
                          {"detail", {{"type", "string"}}},
                          {"code", {{"type", "string"}, {"description", "one of docs/reference/cli.md"}}},
                          {"retryable", {{"type", "boolean"}}},
                          {"details", {{"type", "object"}}}}},
                        {"required", json::array{"title", "status", "code", "retryable"}}};
  return json::serialize(json::object{
      {"openapi", "3.1.0"},
      {"info",
       {{"title", "Perdure"},
        {"version", "1"},
        {"description",
         "Background tasks of a machine's user. Made from the table of methods; see docs/reference/rpc.md."},
        {"license", {{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
      {"servers", json::array{json::object{{"url", "/"}}}},
      {"security", json::array{json::object{{"bearer", json::array()}}}},
      {"paths", std::move(paths)},
      {"components",
       {{"securitySchemes", {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}}}},
        {"schemas", std::move(schemas)}}}});
}

}  // namespace perdure::web
