#pragma once

#include <string_view>

// Text of a request that goes into the record unchanged. These checks keep the record valid JSON.
namespace runner {

/// Could `text` be the id of a task?
bool is_id(std::string_view text);

/// Is `text` ASCII, and could it be members of a JSON object (every bracket closed)?
bool is_members(std::string_view text);

/// Is `text` ASCII, and can it stand between the quotes of a JSON string unchanged?
bool is_escaped_json(std::string_view text);

}  // namespace runner
