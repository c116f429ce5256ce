#pragma once

#include <perdure/config.h>
#include <perdure/manager.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// One table describes every verb: parsing, help, completion and the surface tests use it.
namespace perdure::cli {

class Call;

struct Option {
  const char* names;  ///< in CLI11's form: "--timeout" or "-c,--command"
  const char* value;  ///< placeholder of its value in the help; nullptr: a flag
  const char* help;
  bool repeatable = false;
  bool hidden = false;                 ///< for tests: not in the help
  const char* completed_by = nullptr;  ///< hidden verb that prints the possible values, one a line
};

struct Verb {
  const char* name;
  const char* arguments;  ///< "ID...", "" for none
  const char* summary;
  std::span<const Option> options;
  Result<int> (*run)(Call& call);  ///< the exit status
  bool takes_ids = false;          ///< arguments are task ids: completed as such
  bool hidden = false;
};

/// The parsed command line of one verb. Arguments after `--` are in `command`.
class Call {
 public:
  struct Given {
    std::string name;
    std::vector<std::string> values;
  };

  [[nodiscard]] bool has(std::string_view option) const { return find(option) != nullptr; }
  [[nodiscard]] std::optional<std::string> value(std::string_view option) const;
  [[nodiscard]] std::vector<std::string> values(std::string_view option) const;
  [[nodiscard]] Result<std::optional<std::chrono::milliseconds>> duration(std::string_view option) const;
  [[nodiscard]] Result<std::optional<std::int64_t>> size(std::string_view option) const;
  [[nodiscard]] Result<std::optional<std::int64_t>> integer(std::string_view option, std::int64_t least,
                                                            std::int64_t most) const;
  /// The option's value, which must be one of the words. Errors: usage, naming them.
  [[nodiscard]] Result<std::optional<std::string>> word(std::string_view option,
                                                        std::span<const std::string_view> words) const;

  /// What a verb does if the configuration can't be read. Verbs that stop or explain tasks continue with the defaults,
  /// with a note on standard error unless they report it themselves. The last kind does not mention untrusted settings
  /// either: the standard error of an agent's driver is the task's output.
  enum class BadConfig { fails, is_noted, is_told };

  /// Does the verb read, act on the task, or start it again? Verbs that act accept a part of an id or `@N` only from a
  /// user at a terminal (I21), and a name as that of the live task.
  enum class Use { looks, acts, repeats };

  /// The only argument, which names a task (docs/reference/cli.md, "Ids"). Errors: task_id_empty, task_id_invalid,
  /// usage.
  [[nodiscard]] Result<TaskId> id(Use use = Use::looks);
  [[nodiscard]] Result<std::vector<TaskId>> ids(Use use = Use::looks, BadConfig bad = BadConfig::fails);
  /// The task that one argument names.
  [[nodiscard]] Result<TaskId> resolve(std::string_view typed, Use use, BadConfig bad = BadConfig::fails);

  /// The session's configuration, read at the first call.
  [[nodiscard]] Result<const Config*> config();
  /// The session's manager, opened with the configuration at the first call.
  [[nodiscard]] Result<TaskManager*> manager(BadConfig bad = BadConfig::fails);
  /// The session's folder: --session, PERDURE_SESSION, or the default. `source` says which.
  [[nodiscard]] Result<std::string> session_path(std::string* source = nullptr) const;

  /// Perdure's own folder for data that is kept between runs and belongs to no session.
  [[nodiscard]] static Result<std::string> state_folder();
  /// Where other programs keep their sessions, two levels below.
  [[nodiscard]] static std::vector<std::string> foreign_folders();

  bool json = false;
  std::optional<std::string> session;
  std::vector<std::string> arguments;
  std::vector<std::string> command;
  bool has_command = false;  // there was a `--`
  std::vector<Given> given;

 private:
  [[nodiscard]] const Given* find(std::string_view option) const;
  [[nodiscard]] Result<const Config*> quiet_config();
  std::optional<Config> config_;
  bool has_said_untrusted_ = false;
  std::optional<TaskManager> manager_;
};

/// The name for an option's values: its first long spelling, else its first one.
[[nodiscard]] std::string_view long_name(const Option& option);

/// For verbs that act on tasks.
inline constexpr Option kYesOption{"--yes", nullptr, "take @N or a part of an id also without a terminal"};

[[nodiscard]] std::span<const Verb* const> all_verbs();
[[nodiscard]] const Verb* find_verb(std::string_view name);

/// A variable of the environment; absent if it is unset or empty.
[[nodiscard]] std::optional<std::string> environment(const char* name);

}  // namespace perdure::cli
