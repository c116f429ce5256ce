#include "base/error.h"
#include "base/fd.h"
#include "base/try.h"
#include "base/words.h"
#include "config/config_keys.h"
#include "config/config_tables.h"
#include "config/toml.h"
#include "store/session.h"
#include "trust/signature.h"
#include <perdure/config.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>

namespace perdure {
namespace manager {
namespace {

constexpr std::size_t kMaxFile = std::size_t{1} << 20;
constexpr std::string_view kTask = "task", kOldTask = "background", kHooks = "hooks", kAgents = "agents",
                           kExecutors = "executors", kShell = "shell";
constexpr std::array<std::string_view, 4> kActs = {kHooks, kAgents, "webhook", "rpc"};

std::string absolute_variable(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): never changed here
  return value != nullptr && *value == '/' ? value : "";
}

// The user's own file; "" if there is no home folder.
std::string own_file() {
  constexpr const char* kBelow = "/perdure/config.toml";
  if (const std::string folder = absolute_variable("XDG_CONFIG_HOME"); !folder.empty()) return folder + kBelow;
  const std::string home = absolute_variable("HOME");
  return home.empty() ? "" : home + "/.config" + kBelow;
}

// Links are followed, since users keep such files elsewhere. Absent: there is no file.
Result<std::optional<std::string>> read_file(const std::string& path) {
  const auto unreadable = [&](int os_error) {
    return fail_os(os_error, "reading the configuration", path, ErrorCode::config_invalid);
  };
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file && is_absence(errno)) return std::nullopt;
  if (!file) return unreadable(errno);
  struct stat about{};
  if (::fstat(file.get(), &about) != 0) return unreadable(errno);
  if (!S_ISREG(about.st_mode)) return bad_config(path, 0, "", "is not a file");
  // It names commands that are run: a user who may write it could do everything that this user may.
  if (about.st_uid != ::geteuid() && about.st_uid != 0)
    return bad_config(path, 0, "", "belongs to another user: it is not trusted");
  if ((about.st_mode & S_IWOTH) != 0)
    return bad_config(path, 0, "", "can be written by everybody: it is not trusted: `chmod o-w` it");
  std::string text(kMaxFile + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = ::read(file.get(), text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return unreadable(errno);
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  if (size > kMaxFile) return bad_config(path, 0, "", "is larger than 1 MiB");
  text.resize(size);
  return text;
}

const ConfigKey* find_key(std::string_view section, std::string_view name) {
  for (const auto& key : config_keys())
    if (key.section == section && key.name == name) return &key;
  return nullptr;
}

std::vector<std::string_view> sections() {
  std::vector<std::string_view> names{kTask, kOldTask};
  for (const auto& key : config_keys())
    if (std::ranges::find(names, key.section) == names.end()) names.push_back(key.section);
  names.insert(names.end(), {kHooks, kAgents, kExecutors});
  return names;
}

Result<> read_section(const TomlEntry& section, std::string_view name, const std::string& path, Config& config) {
  const auto* const table = std::get_if<TomlTable>(&section.value.content);
  if (table == nullptr)
    return bad_config(path, section.line, section.key, fmt::format("is not a section: write [{}]", section.key));
  for (const auto& entry : *table) {
    const ConfigKey* const key = find_key(name, entry.key);
    if (key == nullptr) {
      std::vector<std::string_view> known;
      for (const auto& other : config_keys()) {
        if (other.section == name) known.push_back(other.name);
        if (other.name == entry.key)
          return bad_config(path, entry.line, entry.key,
                            fmt::format("is not known in [{}]: it stands in [{}]", section.key, other.section));
      }
      return unknown_key(path, entry, fmt::format("[{}]", section.key), known);
    }
    const std::string from = fmt::format("{}:{}", path, entry.line);
    if (auto read = key->read(config, {.value = entry.value}, from); !read)
      return bad_config(path, entry.line, entry.key, read.error());
  }
  return {};
}

std::unexpected<Error> unknown_section(const TomlEntry& entry, const std::string& path) {
  for (const auto& key : config_keys())
    if (key.name == entry.key)
      return bad_config(path, entry.line, entry.key,
                        fmt::format("stands in no section: it belongs in [{}]", key.section));
  return unknown_key(path, entry, "this file", sections());
}

Result<> read_entries(const TomlTable& entries, const std::string& path, bool untrusted, Config& config) {
  // The older name first, so that [task] takes precedence wherever it is in the file.
  for (const auto& entry : entries)
    if (entry.key == kOldTask) TRY_VOID(read_section(entry, kTask, path, config));
  const auto known = sections();
  for (const auto& entry : entries) {
    if (entry.key == kOldTask) continue;
    if (std::ranges::find(known, entry.key) == known.end()) return unknown_section(entry, path);
    auto read = entry.key == kHooks       ? read_hooks(entry, path, config)
                : entry.key == kAgents    ? read_agents(entry, path, config)
                : entry.key == kExecutors ? read_executors(entry, path, untrusted, config)
                                          : read_section(entry, entry.key, path, config);
    if (!read) return read;
  }
  return {};
}

Result<> read_own_file(const std::string& path, Config& config) {
  TRY(auto text, read_file(path));
  if (!text) return {};
  TRY(auto entries, parse_toml(*text, path));
  return read_entries(entries, path, false, config);
}

// Takes what would have Perdure run a program, send something elsewhere or look into other folders out of the entries
// (L51).
std::vector<UntrustedPart> take_untrusted(TomlTable& entries, const std::string& path) {
  std::vector<UntrustedPart> taken;
  const auto take = [&](TomlTable& table, const auto& is_meant, const auto& named) {
    for (const auto& entry : table)
      if (is_meant(entry)) taken.push_back({.name = named(entry), .from = fmt::format("{}:{}", path, entry.line)});
    std::erase_if(table, is_meant);
  };
  take(
      entries, [](const TomlEntry& entry) { return std::ranges::find(kActs, entry.key) != kActs.end(); },
      [](const TomlEntry& entry) {
        const bool many = std::holds_alternative<TomlArray>(entry.value.content);
        return many ? "[[" + entry.key + "]]" : "[" + entry.key + "]";
      });
  // Executors stay known, so that a caller that names one gets the reason why it isn't used.
  for (const auto& entry : entries)
    if (entry.key == kExecutors)
      taken.push_back({.name = "[executors]", .from = fmt::format("{}:{}", path, entry.line)});
  for (auto& entry : entries)
    if (auto* const section = std::get_if<TomlTable>(&entry.value.content);
        section != nullptr && (entry.key == kTask || entry.key == kOldTask))
      take(
          *section, [](const TomlEntry& inner) { return inner.key == kShell; },
          [&](const TomlEntry& inner) { return fmt::format("{} in [{}]", inner.key, entry.key); });
  return taken;
}

struct SessionFile {
  std::string path, text;
  TomlTable entries;
};

// Absent: there is none.
Result<std::optional<SessionFile>> read_session_file(const std::string& session) {
  SessionFile file;
  // Most sessions have none: then the session's true path, which trust depends on, is not needed.
  if (!store::Session::may_have_config(session)) return std::nullopt;
  file.path = store::Session(session).config_path();
  TRY(auto text, read_file(file.path));
  if (!text) return std::nullopt;
  file.text = std::move(*text);
  TRY(auto entries, parse_toml(file.text, file.path));
  file.entries = std::move(entries);
  return file;
}

Result<> read_session_part(const std::string& session, Config& config) {
  TRY(auto file, read_session_file(session));
  if (!file) return {};
  // Another user or program may have made the session: the user decides what it may run or contact (L51).
  const bool is_trusted = trust::is_trusted_file(file->path, file->text);
  if (!is_trusted) config.untrusted = take_untrusted(file->entries, file->path);
  return read_entries(file->entries, file->path, !is_trusted, config);
}

}  // namespace
}  // namespace manager

Result<Config> load_config(const std::string& session) {
  Config config;
  if (const std::string own = manager::own_file(); !own.empty()) TRY_VOID(manager::read_own_file(own, config));
  if (!session.empty()) TRY_VOID(manager::read_session_part(session, config));
  for (const auto& key : manager::config_keys()) TRY_VOID(manager::read_environment(key, config));
  return config;
}

Result<std::vector<UntrustedPart>> trust_config(const std::string& session) {
  TRY(auto file, manager::read_session_file(session));
  if (!file)
    return manager::bad_config(store::Session(session).config_path(), 0, "",
                               "does not exist: there is nothing to trust");
  // Invalid settings are reported now, and not by the next command.
  Config all;
  TRY_VOID(manager::read_entries(file->entries, file->path, false, all));
  TRY_VOID(trust::trust_file(file->path, file->text));
  return manager::take_untrusted(file->entries, file->path);
}

StartOptions default_start(const Config& config) {
  StartOptions start;
  start.shell = config.shell.value;
  start.grace = config.kill_grace_period.value;
  start.output_limit = config.output_limit.value;
  start.on_output_limit = config.on_output_limit.value;
  start.leftovers = config.leftovers.value;
  start.sync_output = config.sync_output.value;
  return start;
}

RetentionOptions retention_options(const Config& config) {
  RetentionOptions options;
  options.older_than = config.retention_older_than.value;
  options.keep = config.retention_keep.value;
  options.max_bytes = config.retention_max_bytes.value;
  return options;
}

ManagerOptions manager_options(const Config& config, std::string session) {
  ManagerOptions options{.session = std::move(session)};
  // The value was read as a number that fits.
  if (const auto cap = config.max_running_tasks.value) options.max_running_tasks = static_cast<int>(*cap);
  options.kill_grace = config.kill_grace_period.value;
  for (const auto& hook : config.hooks)
    options.hooks.push_back({.command = hook.command, .matcher = hook.matcher, .timeout = hook.timeout});
  options.telemetry_file = config.telemetry_file.value.value_or("");
  options.executors = std::make_shared<const std::map<std::string, ExecutorDefinition>>(config.executors);
  options.agents = std::make_shared<const std::map<std::string, AgentDefinition>>(agent_definitions(config));
  return options;
}

}  // namespace perdure
