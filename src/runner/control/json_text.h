#pragma once

#include <string_view>

// What comes in a request and goes into the record as it is. A check here is what keeps a record valid JSON.
namespace runner {

/// True where `text` could be the id of a task.
bool is_id(std::string_view text);

/// True where `text` is ASCII and could be members of a JSON object: what is opened in it is closed in it.
bool is_members(std::string_view text);

/// True where `text` is ASCII and can stand between the quotes of a JSON string as it is.
bool is_escaped_json(std::string_view text);

}  // namespace runner
