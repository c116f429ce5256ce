#include "cli/console/call.h"

#include "base/error.h"
#include "cli/console/print.h"
#include "cli/console/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace perdure::cli {
namespace {

// A usage error with the name of the option in front.
Error about(std::string_view option, Error error) {
  error.message = fmt::format("{}: {}", option, error.message);
  return error;
}

}  // namespace

const Call::Given* Call::find(std::string_view option) const {
  const auto found = std::ranges::find(given, option, &Given::name);
  return found == given.end() ? nullptr : &*found;
}

std::optional<std::string> Call::value(std::string_view option) const {
  const Given* const found = find(option);
  return found == nullptr || found->values.empty() ? std::nullopt : std::optional(found->values.back());
}

std::vector<std::string> Call::values(std::string_view option) const {
  const Given* const found = find(option);
  return found == nullptr ? std::vector<std::string>() : found->values;
}

Result<std::optional<std::chrono::milliseconds>> Call::duration(std::string_view option) const {
  const auto text = value(option);
  if (!text) return std::nullopt;
  auto parsed = parse_duration(*text);
  if (!parsed) return std::unexpected(about(option, parsed.error()));
  return *parsed;
}

Result<std::optional<std::int64_t>> Call::size(std::string_view option) const {
  const auto text = value(option);
  if (!text) return std::nullopt;
  auto parsed = parse_size(*text);
  if (!parsed) return std::unexpected(about(option, parsed.error()));
  return *parsed;
}

Result<std::optional<std::int64_t>> Call::integer(std::string_view option, std::int64_t least,
                                                  std::int64_t most) const {
  const auto text = value(option);
  if (!text) return std::nullopt;
  auto parsed = parse_integer(*text, least, most);
  if (!parsed) return std::unexpected(about(option, parsed.error()));
  return *parsed;
}

Result<std::optional<std::string>> Call::word(std::string_view option, std::span<const std::string_view> words) const {
  auto text = value(option);
  if (!text || std::ranges::find(words, std::string_view(*text)) != words.end()) return text;
  return fail(ErrorCode::usage,
              fmt::format("{}: expected one of {}, got '{}'", option, fmt::join(words, ", "), harmless_line(*text)));
}

std::string_view long_name(const Option& option) {
  const std::string_view names = option.names;
  const auto at = names.find("--");
  const std::string_view name = names.substr(at == std::string_view::npos ? 0 : at);
  return name.substr(0, name.find(','));
}

std::optional<std::string> environment(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing here changes it
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

Result<std::string> Call::session_path(std::string* source) const {
  const auto from = [&](std::string path, const char* where) {
    if (source != nullptr) *source = where;
    return path;
  };
  if (session) {
    if (session->empty()) return fail(ErrorCode::usage, "--session: is empty: give the session's folder");
    return from(*session, "--session");
  }
  if (auto path = environment("PERDURE_SESSION")) return from(*path, "PERDURE_SESSION");
  auto folder = state_folder();
  if (!folder) return fail(ErrorCode::usage, "no session: HOME is not set: give --session DIR or set PERDURE_SESSION");
  return from(*folder + "/sessions/default",
              environment("XDG_STATE_HOME").value_or("").starts_with('/') ? "XDG_STATE_HOME" : "default");
}

Result<std::string> Call::state_folder() {
  if (auto state = environment("XDG_STATE_HOME"); state && state->starts_with('/')) return *state + "/perdure";
  if (auto home = environment("HOME")) return *home + "/.local/state/perdure";
  return fail(ErrorCode::usage, "HOME is not set, and neither is XDG_STATE_HOME");
}

std::vector<std::string> Call::foreign_folders() {
  std::vector<std::string> folders;
  const auto home = environment("HOME");
  if (auto kimi = environment("KIMI_CODE_HOME"))
    folders.push_back(*kimi + "/sessions");
  else if (home)
    folders.push_back(*home + "/.kimi-code/sessions");
  return folders;
}

// Once for each command: what is left out must not be missed in silence.
void say_untrusted(const Config& config) {
  if (config.untrusted.empty()) return;
  std::string names;
  for (const auto& part : config.untrusted) names += (names.empty() ? "" : ", ") + part.name;
  note(fmt::format("perdure: ignored until `perdure config trust`: {} ({})", harmless_line(names),
                   harmless_line(config.untrusted.front().from)));
}

Result<const Config*> Call::config() {
  auto config = quiet_config();
  if (config && !std::exchange(has_said_untrusted_, true)) say_untrusted(**config);
  return config;
}

Result<const Config*> Call::quiet_config() {
  if (!config_) {
    auto path = session_path();
    if (!path) return std::unexpected(path.error());
    auto loaded = load_config(*path);
    if (!loaded) return std::unexpected(loaded.error());
    config_ = std::move(*loaded);
  }
  return &*config_;
}

Result<TaskManager*> Call::manager(BadConfig bad) {
  if (!manager_) {
    auto path = session_path();
    if (!path) return std::unexpected(path.error());
    if (auto loaded = bad == BadConfig::is_told ? quiet_config() : config(); !loaded) {
      if (bad == BadConfig::fails) return std::unexpected(loaded.error());
      if (bad == BadConfig::is_noted)
        note(fmt::format("perdure: {}: going on with the defaults", harmless_line(loaded.error().message)));
      config_ = Config();
    }
    auto opened = TaskManager::open(manager_options(*config_, *path));
    if (!opened) return std::unexpected(opened.error());
    manager_ = std::move(*opened);
  }
  return &*manager_;
}

}  // namespace perdure::cli
