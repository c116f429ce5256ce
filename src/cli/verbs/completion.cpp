#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/verbs/verbs.h"
#include <perdure/listing.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>

// Completion scripts, made from the table of verbs that is also used for parsing and help.
namespace perdure::cli {
namespace {

// The spellings of an option, without CLI11's commas. A hidden one has none.
std::vector<std::string> spellings(const Option& option) {
  std::vector<std::string> names;
  if (option.hidden) return names;
  std::string_view text = option.names;
  while (!text.empty()) {
    const auto name = text.substr(0, text.find(','));
    names.emplace_back(name);
    text.remove_prefix(std::min(text.size(), name.size() + 1));
  }
  return names;
}

std::string joined(const Verb& verb) {
  std::string words = "--json --session --help";
  for (const auto& option : verb.options)
    for (const auto& name : spellings(option)) words += " " + name;
  return words;
}

std::string single_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::vector<const Verb*> shown_verbs() {
  std::vector<const Verb*> verbs;
  for (const Verb* verb : all_verbs())
    if (!verb->hidden) verbs.push_back(verb);
  return verbs;
}

// The possible words of an option's value, separated by blanks. "" if it is not a choice of words.
std::string choices(const Option& option) {
  const std::string_view value = option.value == nullptr ? std::string_view() : std::string_view(option.value);
  const bool are_words = value.contains('|') && std::ranges::all_of(value, [](char c) {
                           return (c >= 'a' && c <= 'z') || c == '|' || c == '-' || c == '_';
                         });
  std::string words(are_words ? value : std::string_view());
  std::ranges::replace(words, '|', ' ');
  return words;
}

// As a pattern in a case statement: "--tail|-n".
std::string pattern(const Verb& verb, const Option& option) {
  std::string text;
  for (const auto& name : spellings(option)) text += fmt::format("{}{}:{}", text.empty() ? "" : "|", verb.name, name);
  return text;
}

// The possible words of a verb's arguments, if it has a fixed choice: `completion bash|zsh|fish`.
std::string argument_words(const Verb& verb) {
  return choices({"", verb.arguments, ""});
}

// The hidden verb that prints the ids for a verb.
std::string ids_command(const Verb& verb) {
  constexpr std::array<std::string_view, 7> kLiveOnly = {"stop",   "signal", "write", "extend",
                                                         "detach", "attach", "wait"};
  const bool live = std::ranges::find(kLiveOnly, std::string_view(verb.name)) != kLiveOnly.end();
  return live ? "perdure __ids --active" : "perdure __ids";
}

std::string bash_script() {
  std::string names;
  std::string cases;
  std::string values;
  for (const Verb* verb : shown_verbs()) {
    for (const auto& option : verb->options)
      if (option.completed_by != nullptr) {
        values += fmt::format("    {}) words=$(perdure {} 2>/dev/null); ids= ;;\n", pattern(*verb, option),
                              option.completed_by);
      } else if (const std::string words = choices(option); !words.empty()) {
        values += fmt::format("    {}) words='{}'; ids= ;;\n", pattern(*verb, option), words);
      }
    names += (names.empty() ? "" : " ") + std::string(verb->name);
    const std::string own = argument_words(*verb);
    cases += fmt::format("    {}) words='{}{}{}'; ids={} ;;\n", verb->name, own, own.empty() ? "" : " ", joined(*verb),
                         verb->takes_ids ? "'" + ids_command(*verb) + "'" : "");
  }
  return fmt::format(R"(_perdure() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} verb= word words= ids= i session=
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${{COMP_WORDS[i]}}
    case $word in
      --) # what follows is a command line of its own
        if declare -F _command_offset >/dev/null; then _command_offset $((i + 1)); else mapfile -t COMPREPLY < <(compgen -c -- "$cur"); fi
        return ;;
      --session) session=${{COMP_WORDS[i+1]}}; i=$((i + 1)) ;;
      -*) ;;
      *) [[ -n $verb ]] || verb=$word ;;
    esac
  done
  case $verb in
    '') words='{} help --json --session --help --version' ;;
    help) words='{}' ;;
{}  esac
  case $verb:${{COMP_WORDS[COMP_CWORD-1]}} in
{}  esac
  if [[ -n $ids && $cur != -* ]]; then words=$(PERDURE_SESSION=${{session:-$PERDURE_SESSION}} $ids 2>/dev/null); fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}}
complete -o default -F _perdure perdure
)",
                     names, names, cases, values);
}

// ":NAME:" and the possible values, in the form of _arguments.
std::string value_of(const Option& option) {
  if (option.value == nullptr) return "";
  return fmt::format(":{}:{}", option.value,
                     option.completed_by != nullptr ? fmt::format("($(perdure {} 2>/dev/null))", option.completed_by)
                     : choices(option).empty()      ? ""
                                                    : "(" + choices(option) + ")");
}

std::string zsh_script() {
  std::string verbs;
  std::string cases;
  for (const Verb* verb : shown_verbs()) {
    verbs += fmt::format("    {}\n", single_quoted(fmt::format("{}:{}", verb->name, verb->summary)));
    std::string options;
    for (const auto& option : verb->options) {
      std::string help(option.help);
      std::ranges::replace(help, '[', '(');
      std::ranges::replace(help, ']', ')');
      std::ranges::replace(help, ':', ';');
      for (const auto& name : spellings(option))
        options +=
            " " + single_quoted(fmt::format("{}{}[{}]{}", option.repeatable ? "*" : "", name, help, value_of(option)));
    }
    cases += fmt::format(
        "    {}) _arguments '--json[print JSON]' '--session[folder of the session]:DIR:_files -/' "
        "'--help[explain]'{}{} ;;\n",
        verb->name, options,
        verb->takes_ids                 ? fmt::format(" '*:task:($({} 2>/dev/null))'", ids_command(*verb))
        : argument_words(*verb).empty() ? ""
                                        : fmt::format(" '*:word:({})'", argument_words(*verb)));
  }
  return fmt::format(R"(#compdef perdure
_perdure() {{
  local -a verbs
  verbs=(
{}  )
  if (( CURRENT == 2 )); then
    _describe 'command' verbs
    return
  fi
  local verb=$words[2]
  shift words
  (( CURRENT-- ))
  case $verb in
{}  esac
}}
compdef _perdure perdure
)",
                     verbs, cases);
}

std::string fish_script() {
  std::string script = "complete -c perdure -f\n";
  for (const Verb* verb : shown_verbs()) {
    script += fmt::format("complete -c perdure -n __fish_use_subcommand -a {} -d {}\n", verb->name,
                          single_quoted(verb->summary));
    const std::string when = fmt::format("complete -c perdure -n '__fish_seen_subcommand_from {}'", verb->name);
    for (const auto& option : verb->options)
      for (const auto& name : spellings(option))
        script += fmt::format("{} {} {}{}{} -d {}\n", when, name.starts_with("--") ? "-l" : "-s",
                              name.substr(name.starts_with("--") ? 2 : 1), option.value == nullptr ? "" : " -r",
                              option.completed_by != nullptr
                                  ? fmt::format(" -a '(perdure {} 2>/dev/null)'", option.completed_by)
                              : choices(option).empty() ? ""
                                                        : fmt::format(" -a '{}'", choices(option)),
                              single_quoted(option.help));
    if (verb->takes_ids) script += fmt::format("{} -a '({} --described 2>/dev/null)'\n", when, ids_command(*verb));
    if (const std::string words = argument_words(*verb); !words.empty())
      script += fmt::format("{} -a '{}'\n", when, words);
  }
  return script;
}

Result<int> completion(Call& call) {
  constexpr std::array<std::string_view, 3> kShells = {"bash", "zsh", "fish"};
  if (call.arguments.size() != 1 ||
      std::ranges::find(kShells, std::string_view(call.arguments.front())) == kShells.end())
    return fail(ErrorCode::usage, "name the shell: perdure completion bash, zsh or fish");
  const std::string& shell = call.arguments.front();
  put(shell == "bash" ? bash_script() : shell == "zsh" ? zsh_script() : fish_script());
  return 0;
}

constexpr Option kIdsOptions[] = {{"--active", nullptr, "only live ones"},
                                  {"--described", nullptr, "each with a tab and its description"}};

Result<int> ids(Call& call) {
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  const auto tasks = Listing::of(**manager, {.tasks = {.ended = !call.has("--active")}});
  if (!tasks) return std::unexpected(tasks.error());
  std::string text;
  for (std::size_t i = 0; i < tasks->size(); ++i) {
    const TaskRow task = tasks->row(i);
    text += task.id.str() + (call.has("--described") ? "\t" + harmless_line(task.description) : "") + "\n";
  }
  put(text);
  return 0;
}

}  // namespace

const Verb kCompletionVerb{
    "completion", "bash|zsh|fish", "a script that completes verbs, options and task ids", {}, completion};
const Verb kIdsVerb{"__ids", "", "task ids, for completion", kIdsOptions, ids, false, true};

}  // namespace perdure::cli
