#pragma once

#include "mcp/service/service.h"

#include <string>

namespace perdure::mcp {

/// Does a command with a terminal wait for somebody to type? A guess (I08): a live task on its ordinary screen, whose last
/// line is visible and unfinished, and that has printed nothing for two seconds.
struct PromptGuess {
  bool maybe_waiting_for_input = false;
  bool asks_secret = false;  ///< besides, its terminal does not show what is typed
};
[[nodiscard]] PromptGuess guess_prompt(TaskManager& manager, const Task& task);

/// Adds `maybe_waiting_for_input` and `asks_secret` where they hold, with how to answer.
void add_prompt_guess(TaskManager& manager, const Caller& caller, const Task& task, json::object& members);

}  // namespace perdure::mcp
