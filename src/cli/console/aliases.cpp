#include "cli/console/aliases.h"

#include <algorithm>
#include <array>
#include <utility>

namespace perdure::cli {
namespace {

constexpr auto kAliases = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"ls", "list"},
    {"ps", "list"},
    {"status", "list"},
    {"logs", "output"},
    {"tail", "output"},
    {"log", "output"},
    {"kill", "stop"},
    {"rm", "remove"},
    {"start", "run"},
    {"add", "run"},
    {"exec", "run"},
    {"restart", "rerun"},
});

bool is_option(std::string_view word) {
  return word.size() > 1 && word.front() == '-';
}

// "-9", "-KILL", "-SIGKILL", but not "-f" or "--grace".
bool is_signal_option(std::string_view word) {
  if (word.size() < 2 || word[0] != '-' || word[1] == '-') return false;
  word.remove_prefix(1);
  return std::ranges::all_of(word, [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); });
}

bool has_argument(const std::vector<std::string>& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!is_option(words[i])) return true;
    if (words[i] == "--session") ++i;  // its folder
  }
  return false;
}

}  // namespace

std::string_view verb_of_alias(std::string_view word) {
  const auto* const found = std::ranges::find(kAliases, word, &std::pair<std::string_view, std::string_view>::first);
  return found == kAliases.end() ? std::string_view() : found->second;
}

std::string aliases_of(std::string_view verb) {
  std::string text;
  for (const auto& [alias, stands_for] : kAliases)
    if (stands_for == verb) text += (text.empty() ? "" : ", ") + std::string(alias);
  return text;
}

void translate_alias(std::string_view word, std::string& verb, std::vector<std::string>& arguments) {
  if (word == "restart") arguments.insert(arguments.end(), {"--if-running", "replace"});
  if (word == "status" && has_argument(arguments)) verb = "show";
  if (word != "kill") return;
  auto at = std::ranges::find_if(arguments, [](const auto& a) { return is_signal_option(a) || a == "-s"; });
  if (at == arguments.end()) return;
  verb = "signal";
  std::string signal = at->substr(1);
  at = arguments.erase(at);
  if (signal == "s" && at != arguments.end()) {
    signal = *at;
    arguments.erase(at);
  }
  arguments.push_back(std::move(signal));
}

}  // namespace perdure::cli
