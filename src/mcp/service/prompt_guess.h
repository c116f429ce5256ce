#pragma once

#include "mcp/service/service.h"

#include <string>

namespace perdure::mcp {

/// Does a command with a terminal wait for input? A guess (I08): a live task, not on the alternate screen, whose last
/// line is visible and incomplete, and which has printed nothing for two seconds.
struct PromptGuess {
  bool maybe_waiting_for_input = false;
  bool asks_secret = false;  ///< and its terminal does not echo
};
[[nodiscard]] PromptGuess guess_prompt(TaskManager& manager, const Task& task);

/// Adds `maybe_waiting_for_input` and `asks_secret` if they are true, with a hint how to answer.
void add_prompt_guess(TaskManager& manager, const Caller& caller, const Task& task, json::object& members);

}  // namespace perdure::mcp
