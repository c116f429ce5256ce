#pragma once

#include "rpc/place/request.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace perdure::rpc {

// One file for each group of methods; all_methods() holds all of them, by name.
[[nodiscard]] std::span<const Method> session_methods();
[[nodiscard]] std::span<const Method> list_methods();
[[nodiscard]] std::span<const Method> task_methods();
[[nodiscard]] std::span<const Method> start_methods();
[[nodiscard]] std::span<const Method> edit_methods();
[[nodiscard]] std::span<const Method> output_methods();
[[nodiscard]] std::span<const Method> search_methods();
[[nodiscard]] std::span<const Method> wait_methods();
[[nodiscard]] std::span<const Method> question_methods();
[[nodiscard]] std::span<const Method> notification_methods();
[[nodiscard]] std::span<const Method> event_methods();
[[nodiscard]] std::span<const Method> executor_methods();
[[nodiscard]] std::span<const Method> write_methods();
[[nodiscard]] std::span<const Method> attach_methods();

[[nodiscard]] const std::vector<Method>& all_methods();
[[nodiscard]] const Method* find_method(std::string_view name);

/// The JSON Schema of an object with these members; shapes are referenced in #/components/schemas.
[[nodiscard]] json::object schema_of_members(std::span<const Field> fields);
/// The JSON Schemas of all shapes, by name.
[[nodiscard]] json::object schemas_of_shapes();

/// A signal by its name, with or without SIG, or its number; absent: there is none.
[[nodiscard]] std::optional<int> signal_number(std::string_view text);

/// How many tasks have each status.
[[nodiscard]] json::object counts_of(const std::vector<Task>& tasks);

/// The table as one JSON document.
[[nodiscard]] std::string schema_json();

}  // namespace perdure::rpc
