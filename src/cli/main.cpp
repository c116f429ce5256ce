// perdure: options, dispatch and exit statuses. Exit statuses are in docs/reference/cli.md.

#include "base/error.h"
#include "base/name_service.h"
#include "cli/console/aliases.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/start/pid_1.h"
#include "cli/start/stop_tasks.h"
#include "cli/verbs/verbs.h"

#include <signal.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <new>

namespace perdure::cli {
namespace {

constexpr int kFailed = 1, kUsage = 2;

// clang-format off: a line each, so that two added at once cause no merge conflict
constexpr const Verb* kVerbs[] = {
    &kRunVerb,
    &kRerunVerb,
    &kEditVerb,
    &kAgentVerb,
    &kAgentsVerb,
    &kAskVerb,
    &kAnswerVerb,
    &kListVerb,
    &kShowVerb,
    &kOutputVerb,
    &kTopVerb,
    &kAttachVerb,
    &kWaitVerb,
    &kStopVerb,
    &kCloseVerb,
    &kDetachVerb,
    &kExtendVerb,
    &kWriteVerb,
    &kSignalVerb,
    &kReconcileVerb,
    &kNotificationsVerb,
    &kEventsVerb,
    &kDoctorVerb,
    &kRemoveVerb,
    &kGcVerb,
    &kSetupVerb,
    &kMcpVerb,
    &kRpcVerb,
    &kWebVerb,
    &kMetricsVerb,
    &kExecutorsVerb,
    &kHookVerb,
    &kConfigVerb,
    &kVersionVerb,
    &kCompletionVerb,
    &kAcpDriveVerb,
    &kMirrorVerb,
    &kAgentNamesVerb,
    &kIdsVerb,
    &kManVerb,
    &kSweepVerb,
};
// clang-format on

constexpr Option kSessionOption{"--session", "DIR", "folder of the session"};

constexpr std::string_view kGlobalHelp =
    "Options of every command\n"
    "  --session DIR   folder of the session (else PERDURE_SESSION, else the default one)\n"
    "  --json          print JSON\n"
    "  --help          explain the command\n";

std::string overview() {
  std::string text =
      "perdure: background tasks that outlive everything that watches them\n\n"
      "  perdure run -c 'make test'     start a task; prints its id\n"
      "  perdure wait ID                wait for it; exits as it did\n"
      "  perdure output ID --follow     what it prints\n\nCommands\n";
  for (const Verb* verb : kVerbs)
    if (!verb->hidden) text += fmt::format("  {:<11} {}\n", verb->name, verb->summary);
  return text + "  help        this, or `perdure help COMMAND`\n\n" + std::string(kGlobalHelp);
}

// Only the options of the given verb are registered: this halves the time to start.
void describe(::CLI::App& app, const Verb& verb, Call& call, std::vector<Call::Given>& given) {
  app.name(fmt::format("perdure {}", verb.name));
  app.set_help_flag("-h,--help", "explain this command");
  app.add_flag("--json", call.json, "print JSON");
  given.reserve(verb.options.size() + 1);
  given.push_back({std::string(long_name(kSessionOption)), {}});
  app.add_option(kSessionOption.names, given.back().values, kSessionOption.help)
      ->type_name(kSessionOption.value)
      ->expected(1)
      ->multi_option_policy(::CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  for (const auto& option : verb.options) {
    given.push_back({std::string(long_name(option)), {}});
    auto& values = given.back().values;
    if (option.value == nullptr) {
      app.add_flag_function(option.names, [&values](std::int64_t) { values.emplace_back(); }, option.help);
    } else {
      auto* const added = app.add_option(option.names, values, option.help)->type_name(option.value)->expected(1);
      added->multi_option_policy(::CLI::MultiOptionPolicy::TakeAll);
      added->allow_extra_args(false);  // else `--tail 10 ID` takes the id, too
    }
  }
  app.add_option("arguments", call.arguments, "")->type_name(verb.arguments)->group("");
}

std::string help_of(const Verb& verb) {
  Call call;
  std::vector<Call::Given> given;
  ::CLI::App app(verb.summary);
  describe(app, verb, call, given);
  std::string text = fmt::format("perdure {}: {}\n\nUsage: perdure {} [OPTIONS] {}\n\nOptions\n", verb.name,
                                 verb.summary, verb.name, verb.arguments);
  for (const auto& option : verb.options)
    text += fmt::format("  {:<34} {}{}\n",
                        option.value == nullptr ? option.names : fmt::format("{} {}", option.names, option.value),
                        option.help, option.repeatable ? " (may be repeated)" : "");
  if (const std::string aliases = aliases_of(verb.name); !aliases.empty())
    text += fmt::format("\nAlso known as {}.\n", aliases);
  return text + "\n" + std::string(kGlobalHelp);
}

// One of two values would be dropped silently (L61).
Result<> check_given_once(const Option& option, const std::vector<Call::Given>& given) {
  if (option.value == nullptr || option.repeatable) return {};
  const std::string_view name = long_name(option);
  for (const auto& one : given)
    if (one.name == name && one.values.size() > 1)
      return fail(ErrorCode::usage,
                  fmt::format("{}: expected one value, got {}: '{}' and '{}'", name, one.values.size(),
                              harmless_line(one.values[0]), harmless_line(one.values[1])));
  return {};
}

int report(const Error& error, bool json) {
  // An error may quote a command's output (its name, its folder): a terminal must not interpret it.
  note("perdure: " + harmless_text(error.message));
  if (json) put_line(error_json(error));
  // Not an error in the command line: a task that can't be removed yet.
  if (error.details.contains("running")) return kFailed;
  if (error.code == ErrorCode::usage || error.code == ErrorCode::task_id_empty ||
      error.code == ErrorCode::task_id_invalid || error.code == ErrorCode::config_invalid)
    return kUsage;
  if (const auto exit = error.details.find("exit"); exit != error.details.end())
    if (const auto status = parse_integer(exit->second, 1, 255)) return static_cast<int>(*status);
  return kFailed;
}

std::unexpected<Error> unknown_verb(std::string_view typed) {
  std::vector<std::string_view> names{"help"};
  for (const Verb* verb : kVerbs)
    if (!verb->hidden) names.emplace_back(verb->name);
  const std::string near = nearest_word(typed, names);
  return fail(ErrorCode::usage, fmt::format("unknown command '{}'{}: see `perdure help`", harmless_line(typed),
                                            near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
}

// Splits at `--` and finds the verb: the first word that is neither an option nor an option's value.
struct CommandLine {
  std::vector<std::string> words;  // before `--`, without the verb
  std::optional<std::string> verb;
  bool help = false, version = false;
};

CommandLine take_apart(int argc, char** argv, Call& call) {
  CommandLine line;
  int i = 1;
  for (; i < argc && std::string_view(argv[i]) != "--"; ++i) {
    const std::string_view word = argv[i];
    if (!line.verb && word == "--session" && i + 1 < argc) {
      line.words.emplace_back(word);
      line.words.emplace_back(argv[++i]);
    } else if (!line.verb && (word.empty() || word.front() != '-')) {
      line.verb = word;
    } else {
      line.help |= !line.verb && (word == "--help" || word == "-h");
      line.version |= !line.verb && word == "--version";
      line.words.emplace_back(word);
    }
  }
  call.has_command = i < argc;
  for (++i; i < argc; ++i) call.command.emplace_back(argv[i]);
  return line;
}

const Verb* find_typed(std::string_view word) {
  const Verb* const verb = find_verb(word);
  return verb != nullptr ? verb : find_verb(verb_of_alias(word));
}

// `perdure run ls -la`: the intended command line, to be pasted. Absent: the command was given properly, or not at all.
std::optional<std::string> meant_by(const std::vector<std::string>& words) {
  std::size_t at = 0;
  for (; at < words.size() && words[at].starts_with('-'); ++at) {
    const auto takes_value = [&](const Option& option) {
      const std::string names = "," + std::string(option.names) + ",";
      return option.value != nullptr && names.contains("," + words[at] + ",");
    };
    if (words[at] == "-c" || words[at] == "--session" || std::ranges::any_of(kRunVerb.options, takes_value)) ++at;
  }
  if (at >= words.size() || std::ranges::find(words, "-c") < words.begin() + static_cast<std::ptrdiff_t>(at))
    return std::nullopt;
  const bool is_line = at + 1 == words.size() && words[at].find_first_of(" ;&|<>$`") != std::string::npos;
  std::string text = "perdure run";
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i == at) text += is_line ? " -c" : " --";
    text += " " + shell_word(words[i]);
  }
  return text;
}

Result<int> explain(std::vector<std::string> words) {
  if (const auto at = std::ranges::find(words, "--session"); at != words.end())
    words.erase(at, at + std::min<std::ptrdiff_t>(2, words.end() - at));
  std::erase(words, "--json");
  if (words.empty()) {
    put(overview());
    return 0;
  }
  const Verb* const verb = find_typed(words.front());
  if (verb == nullptr) return unknown_verb(words.front());
  put(help_of(*verb));
  return 0;
}

Result<int> dispatch(int argc, char** argv, Call& call) {
  CommandLine line = take_apart(argc, argv, call);
  for (const auto& word : line.words) call.json |= word == "--json";
  if (line.version) return kVersionVerb.run(call);
  if (line.help) return explain({});
  if (!line.verb) {
    note(overview());
    return kUsage;
  }
  if (*line.verb == "help") return explain(line.words);
  const Verb* verb = find_verb(*line.verb);
  if (verb == nullptr && !verb_of_alias(*line.verb).empty()) {
    std::string stands_for(verb_of_alias(*line.verb));
    translate_alias(*line.verb, stands_for, line.words);
    verb = find_verb(stands_for);
  }
  if (verb == nullptr) return unknown_verb(*line.verb);
  if (verb == &kRunVerb && !call.has_command && std::ranges::find(line.words, "--help") == line.words.end() &&
      std::ranges::find(line.words, "-h") == line.words.end())
    if (const auto meant = meant_by(line.words))
      return fail(ErrorCode::usage, fmt::format("the command must stand behind --, or be a line behind -c; write\n  {}",
                                                harmless_line(*meant)));
  std::vector<Call::Given> given;
  ::CLI::App app;
  describe(app, *verb, call, given);
  try {
    std::vector<std::string> reversed(line.words.rbegin(), line.words.rend());
    app.parse(reversed);
  } catch (const ::CLI::CallForHelp&) {
    put(help_of(*verb));
    return 0;
  } catch (const ::CLI::ParseError& error) {
    return fail(ErrorCode::usage,
                fmt::format("{}: {}: see `perdure help {}`", verb->name, harmless_line(error.what()), verb->name));
  }
  if (auto fine = check_given_once(kSessionOption, given); !fine) return std::unexpected(fine.error());
  if (!given.front().values.empty()) call.session = given.front().values.front();
  given.erase(given.begin());
  for (const auto& option : verb->options)
    if (auto fine = check_given_once(option, given); !fine) return std::unexpected(fine.error());
  for (auto& option : given)
    if (!option.values.empty()) call.given.push_back(std::move(option));
  if (call.has_command && verb != &kRunVerb && verb != &kEditVerb)
    call.arguments.insert(call.arguments.end(), call.command.begin(), call.command.end());
  if (*verb->arguments == '\0' && !call.arguments.empty())
    return fail(ErrorCode::usage, fmt::format("{} takes no arguments, got '{}': see `perdure help {}`", verb->name,
                                              harmless_line(call.arguments.front()), verb->name));
  return verb->run(call);
}

// The session in the command line, at any position.
void stop_tasks_of(int argc, char** argv) {
  Call call;
  const CommandLine line = take_apart(argc, argv, call);
  for (std::size_t i = 0; i < line.words.size(); ++i) {
    if (line.words[i] == "--session" && i + 1 < line.words.size()) call.session = line.words[i + 1];
    if (line.words[i].starts_with("--session=")) call.session = line.words[i].substr(line.words[i].find('=') + 1);
  }
  auto manager = call.manager(Call::BadConfig::is_noted);
  if (manager) return stop_with_container(**manager);
  note("perdure: " + harmless_line(manager.error().message));
}

int run(int argc, char** argv) {
  // write() reports that the reader has closed the pipe; the program then exits quietly.
  ::signal(SIGPIPE, SIG_IGN);
  guard_standard_streams();
  Call call;
  auto status = dispatch(argc, argv, call);
  return status ? *status : report(status.error(), call.json);
}

}  // namespace

std::span<const Verb* const> all_verbs() {
  return kVerbs;
}

const Verb* find_verb(std::string_view name) {
  for (const Verb* verb : kVerbs)
    if (verb->name == name) return verb;
  return nullptr;
}

}  // namespace perdure::cli

int main(int argc, char** argv) {
  perdure::use_own_name_service();
  try {
    if (::getpid() != 1) return perdure::cli::run(argc, argv);
    return perdure::cli::run_as_pid_1([&] { return perdure::cli::run(argc, argv); },
                                      [&] { perdure::cli::stop_tasks_of(argc, argv); });
  } catch (const std::exception& error) {
    perdure::cli::note(fmt::format("perdure: this is a bug, or memory ran out: {}", error.what()));
    return 1;
  }
}
