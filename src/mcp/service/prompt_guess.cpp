#include "mcp/service/prompt_guess.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/readable.h"
#include "mcp/protocol/client.h"

#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <string_view>

namespace perdure::mcp {
namespace {

constexpr std::int64_t kQuietMs = 2'000, kLookedAt = 64 << 10;

// Full-screen programs always wait for keys.
bool is_on_alternate_screen(std::string_view output) {
  const auto on = output.rfind("\x1b[?1049h"), off = output.rfind("\x1b[?1049l");
  return on != std::string_view::npos && (off == std::string_view::npos || on > off);
}

bool has_been_quiet(const std::string& log) {
  struct stat found{};
  if (::stat(log.c_str(), &found) != 0) return false;
  return now_ms() - (found.st_mtim.tv_sec * 1000 + found.st_mtim.tv_nsec / 1'000'000) >= kQuietMs;
}

bool is_unfinished_and_visible(std::string_view output) {
  const auto line_end = output.rfind('\n');
  const std::string last = make_readable(output.substr(line_end == std::string_view::npos ? 0 : line_end + 1)).text;
  return last.find_first_not_of(" \t\n") != std::string::npos;
}

}  // namespace

PromptGuess guess_prompt(TaskManager& manager, const Task& task) {
  if (task.status != Status::running || task.kind != Kind::process) return {};
  const auto snapshot = manager.output_snapshot(task.id, kLookedAt);
  if (!snapshot || !snapshot->path || !has_been_quiet(*snapshot->path)) return {};
  if (!is_unfinished_and_visible(snapshot->preview) || is_on_alternate_screen(snapshot->preview)) return {};
  auto opened = manager.open_input(task.id);
  if (!opened) return {};
  const Fd input(opened->release());
  termios modes{};
  if (::tcgetattr(input.get(), &modes) != 0) return {};  // it is not a terminal
  return {.maybe_waiting_for_input = true, .asks_secret = (modes.c_lflag & ICANON) != 0 && (modes.c_lflag & ECHO) == 0};
}

void add_prompt_guess(TaskManager& manager, const Caller& caller, const Task& task, json::object& members) {
  const PromptGuess guess = guess_prompt(manager, task);
  if (!guess.maybe_waiting_for_input) return;
  members["maybe_waiting_for_input"] = true;
  if (guess.asks_secret) members["asks_secret"] = true;
  members["next"] =
      with_tool_names(guess.asks_secret ? "It probably waits for a secret; let the person type it, or use @TaskWrite"
                                        : "It probably waits for input: @TaskWrite types it",
                      caller);
}

}  // namespace perdure::mcp
