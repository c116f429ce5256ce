#include "rpc/methods/methods.h"

#include <algorithm>

namespace perdure::rpc {
namespace {

json::object schema_of(const Field& field, std::string_view type);

json::object members_schema(std::span<const Field> fields) {
  json::object properties;
  json::array required;
  for (const auto& field : fields) {
    auto schema = schema_of(field, field.type);
    if (!field.help.empty()) schema["description"] = field.help;
    properties[field.name] = std::move(schema);
    if (field.required) required.emplace_back(field.name);
  }
  json::object schema{{"type", "object"}, {"properties", std::move(properties)}};
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

// The JSON Schema of a type in the table.
json::object schema_of(const Field& field, std::string_view type) {
  if (type.ends_with('?'))
    return {{"anyOf", json::array{schema_of(field, type.substr(0, type.size() - 1)), json::object{{"type", "null"}}}}};
  if (type.ends_with("[]")) return {{"type", "array"}, {"items", schema_of(field, type.substr(0, type.size() - 2))}};
  if (type == "string+") {
    const json::object text{{"type", "string"}};
    return {{"anyOf", json::array{text, json::object{{"type", "array"}, {"items", text}}}}};
  }
  if (type == "{string}") return {{"type", "object"}, {"additionalProperties", json::object{{"type", "string"}}}};
  if (type == "integer") {
    json::object schema{{"type", "integer"}};
    if (field.least) schema["minimum"] = *field.least;
    if (field.most) schema["maximum"] = *field.most;
    return schema;
  }
  if (type.find('|') != std::string_view::npos) {
    json::array words;
    while (true) {
      const auto bar = type.find('|');
      words.emplace_back(type.substr(0, bar));
      if (bar == std::string_view::npos) break;
      type.remove_prefix(bar + 1);
    }
    return {{"type", "string"}, {"enum", std::move(words)}};
  }
  if (std::ranges::count(all_shapes(), type, &Shape::name) > 0)
    return {{"$ref", "#/components/schemas/" + std::string(type)}};
  return {{"type", type}};
}

}  // namespace

json::object schema_of_members(std::span<const Field> fields) {
  return members_schema(fields);
}

json::object schemas_of_shapes() {
  json::object schemas;
  for (const auto& shape : all_shapes()) {
    auto schema = schema_of_members(shape.fields);
    schema["description"] = shape.help;
    schemas[shape.name] = std::move(schema);
  }
  return schemas;
}

const std::vector<Method>& all_methods() {
  static const std::vector<Method> methods = [] {
    std::vector<Method> all;
    for (const auto& some : {session_methods(), list_methods(), task_methods(), start_methods(), edit_methods(),
                             output_methods(), write_methods(), attach_methods(), search_methods(), wait_methods(),
                             question_methods(), notification_methods(), event_methods(), executor_methods()})
      all.insert(all.end(), some.begin(), some.end());
    return all;
  }();
  return methods;
}

const Method* find_method(std::string_view name) {
  const auto& methods = all_methods();
  const auto found = std::ranges::find(methods, name, &Method::name);
  return found == methods.end() ? nullptr : &*found;
}

std::string schema_json() {
  json::array methods;
  for (const auto& method : all_methods())
    methods.push_back(json::object{{"name", method.name},
                                   {"description", method.help},
                                   {"writes", method.writes},
                                   {"repeat", name_of(method.repeat)},
                                   {"params", schema_of_members(method.params)},
                                   {"result", schema_of_members(method.result)}});
  json::array announcements;
  for (const auto& one : all_announcements())
    announcements.push_back(
        json::object{{"name", one.name}, {"description", one.help}, {"params", schema_of_members(one.params)}});
  return json::serialize(json::object{{"protocol", 1},
                                      {"methods", std::move(methods)},
                                      {"notifications", std::move(announcements)},
                                      {"components", json::object{{"schemas", schemas_of_shapes()}}}});
}

}  // namespace perdure::rpc
