#include "config/config_keys.h"

#include "base/try.h"
#include "config/toml.h"

#include <fmt/format.h>

#include <cctype>
#include <cstdlib>

namespace perdure::manager {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

constexpr TruthRule kTruth;
constexpr PathRule kPath;
constexpr KeysRule kKeys;
constexpr CountedTimeRule kGrace{.unit = milliseconds(1), .count = {0, 3'600'000}};
constexpr CountedTimeRule kDeadline{.unit = seconds(1), .count = {0, 86'400}};
constexpr OrNone<NumberRule> kCap{{1, std::numeric_limits<int>::max()}};
constexpr OrNone<NumberRule> kPositive{{1, kUnlimited}};
constexpr OrNone<NumberRule> kNotNegative{{0, kUnlimited}};
constexpr OrNone<SizeRule> kOutputLimit{{0}};
// Zero would mean "remove everything", while users mean "no limit".
constexpr OrNone<DurationRule> kAge{{.least = std::chrono::minutes(1), .most = hours(24 * 36'500)}};
constexpr OrNone<SizeRule> kRoom{{std::int64_t{1} << 20}};
constexpr OrNone<PathRule> kFile{};
constexpr PathsRule kPaths;

constexpr WordRule<OnOutputLimit, 2> kOnLimit{{{{"truncate", OnOutputLimit::truncate}, {"stop", OnOutputLimit::stop}}}};
constexpr WordRule<Leftovers, 3> kLeftovers{
    {{{"keep", Leftovers::keep}, {"kill", Leftovers::kill}, {"wait", Leftovers::wait}}}};

// Kept as text: Perdure itself does not use it.
struct PrintModeRule {
  using Type = std::string;
  [[nodiscard]] static std::string takes() { return R"("exit", "drain" or "steer")"; }
  [[nodiscard]] static Checked<Type> read(const Given& given) {
    auto text = read_text(given);
    if (text && (*text == "exit" || *text == "drain" || *text == "steer")) return text;
    return not_allowed(given, takes());
  }
  [[nodiscard]] static Shown shown(const Type& value) { return {.text = value, .json = {}}; }
};
constexpr OrNone<PrintModeRule> kPrintMode{};

template <auto kField, const auto& kRule>
constexpr ConfigKey key(std::string_view section, std::string_view name, std::string_view meaning,
                        bool used_here = true) {
  return {.section = section,
          .name = name,
          .meaning = meaning,
          .takes = [] { return kRule.takes(); },
          .read = [](Config& config, const Given& given, const std::string& from) -> Checked<void> {
            TRY(auto value, kRule.read(given));
            (config.*kField).value = std::move(value);
            (config.*kField).from = from;
            return {};
          },
          .shown = [](const Config& config) { return kRule.shown((config.*kField).value); },
          .from = [](const Config& config) -> const std::string& { return (config.*kField).from; },
          .used_here = used_here};
}

constexpr bool kForAgents = false;

constexpr ConfigKey kKeyTable[] = {
    key<&Config::max_running_tasks, kCap>("task", "max_running_tasks",
                                          "how many background tasks may run at once in a session"),
    key<&Config::keep_alive_on_exit, kTruth>(
        "task", "keep_alive_on_exit", "whether tasks run on when the front end that started them (`perdure mcp`) ends"),
    key<&Config::kill_grace_period, kGrace>("task", "kill_grace_period_ms", "milliseconds from SIGTERM to SIGKILL"),
    key<&Config::bash_auto_background_on_timeout, kTruth>(
        "task", "bash_auto_background_on_timeout",
        "whether a tool's foreground command that takes too long moves to the background, or is stopped"),
    key<&Config::bash_task_timeout, kDeadline>(
        "task", "bash_task_timeout_s",
        "seconds a tool's background command may run when the call names none; 0: for ever. `perdure run` has none"),
    key<&Config::agent_task_timeout, kDeadline>(
        "task", "agent_task_timeout_s", "seconds a subagent's task may run when the call names none; 0: for ever"),
    key<&Config::output_limit, kOutputLimit>(
        "task", "output_limit",
        R"(how much output of a task is kept, 0: all; "none": 64MiB where it is truncated, else all)"),
    key<&Config::on_output_limit, kOnLimit>("task", "on_output_limit",
                                            "over the limit: drop output from the middle, or stop the command"),
    key<&Config::leftovers, kLeftovers>("task", "leftovers", "what happens to processes that outlive their command"),
    key<&Config::shell, kPath>("task", "shell", "the shell of `run -c`"),
    key<&Config::sync_output, kTruth>("task", "sync_output", "whether output is on the disk before a task is over"),
    key<&Config::detach_keys, kKeys>("task", "detach_keys", "the key that detaches a foreground task"),
    key<&Config::print_background_mode, kPrintMode>(
        "task", "print_background_mode", "what an agent without a person does about tasks that run", kForAgents),
    key<&Config::print_wait_ceiling_s, kPositive>("task", "print_wait_ceiling_s",
                                                  "seconds for which such an agent waits for them", kForAgents),
    key<&Config::print_max_turns, kPositive>("task", "print_max_turns", "turns that such an agent takes meanwhile",
                                             kForAgents),
    key<&Config::subagent_timeout_ms, kNotNegative>(
        "subagent", "timeout_ms", "milliseconds for a subagent within an agent's own process", kForAgents),
    key<&Config::retention_auto, kTruth>("retention", "auto", "whether a start sweeps the session, at most once a day"),
    key<&Config::retention_older_than, kAge>("retention", "older_than", "tasks that ended longer ago are removed"),
    key<&Config::retention_keep, kPositive>("retention", "keep", "so many ended tasks stay, the newest"),
    key<&Config::retention_max_bytes, kRoom>("retention", "max_bytes",
                                             "what ended tasks may take on the disk together"),
    key<&Config::telemetry_file, kFile>("telemetry", "file", "where telemetry is written, as JSON lines"),
    key<&Config::rpc_sessions, kPaths>(
        "rpc", "sessions", "sessions that `session.list` and the page show besides those of the state folder"),
};

const char* variable(const std::string& name) {
  const char* const value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): never changed here
  return value == nullptr || *value == '\0' ? nullptr : value;
}

}  // namespace

std::span<const ConfigKey> config_keys() {
  return kKeyTable;
}

std::string name_of(const ConfigKey& key) {
  return key.section == "task" ? std::string(key.name) : fmt::format("{}.{}", key.section, key.name);
}

std::string variable_of(const ConfigKey& key) {
  std::string name = "PERDURE_";
  for (const char c : name_of(key)) name += c == '.' ? '_' : static_cast<char>(std::toupper(c));
  return name;
}

Result<> read_environment(const ConfigKey& key, Config& config) {
  const std::string name = variable_of(key);
  const char* const text = variable(name);
  if (text == nullptr) return {};
  const TomlValue value{.content = std::string(text)};
  if (auto read = key.read(config, {.value = value, .is_text = true}, name); !read)
    return bad_config(name, 0, "", read.error() + ", or unset it");
  return {};
}

Result<std::optional<int>> cap_from_environment(std::optional<int> configured) {
  Config config;
  config.max_running_tasks.value = configured;
  TRY_VOID(read_environment(kKeyTable[0], config));
  const auto cap = config.max_running_tasks.value;
  return cap ? std::optional(static_cast<int>(*cap)) : std::nullopt;
}

}  // namespace perdure::manager
