#include "cli/text/man_page.h"

#include "cli/console/call.h"
#include "cli/text/roff.h"
#include "config/config_keys.h"
#include "config/config_tables.h"
#include "contract/launch_spec.h"
#include "contract/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

namespace perdure::cli {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr Pair kExitStatuses[] = {
    {"0", "Success."},
    {"1", "The operation failed; or `wait` waited for several tasks and not all of them completed."},
    {"2", "Bad usage, an invalid id, or an invalid setting."},
    {"75",
     "The time limit of `wait` or `notifications --wait` passed first, or a foreground task was detached. The tasks "
     "run on."},
    {"124", "The task timed out."},
    {"125", "The task is lost: its outcome cannot be known."},
    {"126, 127", "The command cannot be run, or was not found."},
    {"128+N", "The command was killed by signal N."},
    {"130", "Interrupted. The task runs on."},
    {"141", "The reader of the output has closed it."},
    {"143", "The task was stopped."},
    {"any other", "The exit code of the command itself, with `run --foreground`, `run --wait` and `wait ID`."},
};

constexpr Pair kVariables[] = {
    {"PERDURE_SESSION", "Folder of the session, where `--session` is not given."},
    {"PERDURE_RUNNER_PATH", "The perdure-runner to use, instead of the one that was installed with perdure."},
    {"PERDURE_CGROUP", "Folder of the cgroup file system below which tasks with limits get their cgroups."},
    {"PERDURE_WEBHOOK_SECRET", "The secret with which `hook webhook` signs, where `--secret-file` is not given."},
    {"XDG_STATE_HOME, XDG_CONFIG_HOME",
     "Where the default session and the configuration are; else ~/.local/state and "
     "~/.config."},
    {"NO_COLOR", "No colours on a terminal."},
    {"PERDURE_TASK_ID", "Set for a task's command and all that it starts: the id of the task."},
};

constexpr Pair kFiles[] = {
    {"~/.config/perdure/config.toml", "Settings of the user; see `perdure-config(5)`."},
    {"~/.local/state/perdure/sessions/default", "The default session."},
    {"SESSION/tasks/ID.json", "The record of a task."},
    {"SESSION/tasks/ID/output.log", "What the command of a task printed."},
    {"SESSION/perdure.toml", "Settings of a session."},
};

constexpr std::string_view kExamples =
    "perdure run -c 'make -j4 && make test'     # start a task; prints its id\n"
    "perdure wait bash-k3v9q0zd                 # exits as the task did\n"
    "perdure output bash-k3v9q0zd --follow      # what it prints\n"
    "perdure stop bash-k3v9q0zd                 # with everything it started\n"
    "perdure mcp                                # for a coding agent\n";

void items(Roff& page, std::span<const Pair> pairs) {
  for (const auto& [term, text] : pairs) page.item(Roff::bold(term), text);
}

// "-c,--command" with the value LINE: both spellings in bold, the value in italics.
std::string term_of(const Option& option) {
  std::string term;
  std::string_view names = option.names;
  while (!names.empty()) {
    const auto name = names.substr(0, names.find(','));
    term += (term.empty() ? "" : ", ") + Roff::bold(name);
    names.remove_prefix(std::min(names.size(), name.size() + 1));
  }
  return option.value == nullptr ? term : term + " " + Roff::italic(option.value);
}

// The tables contain phrases for one line of help; a page has sentences. A name such as "webhook: " at the start stays.
std::string sentence(std::string_view phrase) {
  constexpr std::size_t kLongestArgument = 20;
  std::string text(phrase);
  if (!text.empty() && !phrase.substr(0, kLongestArgument).contains(": "))
    text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  return text + ".";
}

void verb(Roff& page, const Verb& verb) {
  page.subheading(fmt::format("perdure {}{}{}{}", verb.name, verb.options.empty() ? "" : " [OPTIONS]",
                              *verb.arguments == '\0' ? "" : " ", verb.arguments));
  page.paragraph(sentence(verb.summary));
  for (const auto& option : verb.options)
    if (!option.hidden)
      page.item(term_of(option), sentence(option.help) + (option.repeatable ? " May be repeated." : ""));
}

std::string perdure_page(std::string_view date) {
  Roff page("perdure", 1, date, "User Commands");
  page.heading("NAME");
  page.paragraph("perdure - durable background tasks for coding agents");
  page.heading("SYNOPSIS");
  page.paragraph("`perdure` [--session DIR] [--json] COMMAND [OPTIONS] [ARGUMENTS]");
  page.heading("DESCRIPTION");
  page.paragraph(
      "Perdure starts commands as tasks that outlive the program, the terminal and the agent that started them. The "
      "output, the exit status and the outcome of a task are kept in files and can be read by any process later. There "
      "is not a daemon: one small process, `perdure-runner(8)`, stands beside each running task.");
  page.paragraph(
      "A session is a folder of tasks: the one of `--session`, else of `PERDURE_SESSION`, else the default one. "
      "Durations are written 500ms, 30s, 5m, 2h, 1d; a number alone is seconds. Sizes are written 64KiB, 16MiB, 1GiB; "
      "a "
      "number alone is bytes.");
  page.heading("OPTIONS");
  page.paragraph("These options of every command may stand before or after it, up to `--`.");
  page.item(Roff::bold("--session") + " " + Roff::italic("DIR"), "Folder of the session.");
  page.item(Roff::bold("--json"), "Print JSON: one document, or one per line where it streams.");
  page.item(Roff::bold("-h") + ", " + Roff::bold("--help"), "Explain the command.");
  page.item(Roff::bold("--version"), "Print the version.");
  page.heading("COMMANDS");
  for (const Verb* const one : all_verbs())
    if (!one->hidden) verb(page, *one);
  page.subheading("perdure help [COMMAND]");
  page.paragraph("Explain a command, or list all.");
  page.heading("EXIT STATUS");
  items(page, kExitStatuses);
  page.heading("ENVIRONMENT");
  items(page, kVariables);
  page.paragraph("Every setting has a variable too; see `perdure-config(5)`.");
  page.heading("FILES");
  items(page, kFiles);
  page.heading("EXAMPLES");
  page.example(kExamples);
  page.heading("SEE ALSO");
  page.paragraph("`perdure-config(5)`, `perdure-runner(8)`, `nohup(1)`, `systemd-run(1)`");
  return std::move(page).take();
}

std::string config_page(std::string_view date) {
  Roff page("perdure-config", 5, date, "File Formats");
  page.heading("NAME");
  page.paragraph("perdure-config - settings of perdure");
  page.heading("SYNOPSIS");
  page.example("~/.config/perdure/config.toml\nSESSION/perdure.toml\nPERDURE_NAME in the environment");
  page.heading("DESCRIPTION");
  page.paragraph(
      "Nothing has to be configured. Settings are read from the user's file, then from the session's file, then from "
      "the "
      "environment, then from the options of a command; what comes later wins, key by key. The files are TOML. "
      "`perdure "
      "config` shows every setting in force and where it comes from.");
  page.paragraph(
      "An unknown key and an invalid value are errors that name the file and the line. A file that belongs to another "
      "user, or that everybody may write, is refused, because it names commands that are run.");
  const Config defaults;
  std::string_view section;
  for (const auto& key : manager::config_keys()) {
    if (key.section != section) page.heading(fmt::format("[{}]", section = key.section));
    const std::string value = key.shown(defaults).text;
    page.item(
        Roff::bold(key.name),
        fmt::format("{} It takes {}. Default: {}. Variable: `{}`.",
                    sentence(fmt::format("{}{}", key.meaning, key.used_here ? "" : "; not used by perdure itself")),
                    key.takes(), value.empty() ? "none" : value, manager::variable_of(key)));
  }
  page.heading("[[hooks]]");
  page.paragraph("Each `[[hooks]]` adds a command that is run when something happens to a task.");
  for (const auto& key : manager::kHookKeys) page.item(Roff::bold(key.name), sentence(key.meaning));
  page.heading("[agents.NAME]");
  page.paragraph("Describes an agent for `perdure agent`, or changes a built-in one.");
  for (const auto& key : manager::kAgentKeys) page.item(Roff::bold(key.name), sentence(key.meaning));
  page.heading("EXAMPLES");
  page.example(
      "[task]\nmax_running_tasks = 8\noutput_limit = \"16MiB\"\n\n[retention]\nolder_than = \"14d\"\n\n"
      "[[hooks]]\nmatcher = \"task\\\\.(failed|timed_out|lost)\"\ncommand = \"notify-send 'A task failed'\"");
  page.heading("SEE ALSO");
  page.paragraph("`perdure(1)`");
  return std::move(page).take();
}

std::string runner_page(std::string_view date) {
  using namespace contract;
  Roff page("perdure-runner", 8, date, "System Administration");
  page.heading("NAME");
  page.paragraph("perdure-runner - owns one task of perdure from its launch to its recorded outcome");
  page.heading("SYNOPSIS");
  page.paragraph("`perdure-runner` SESSION TASK_ID [ENTRY]");
  page.paragraph("`perdure-runner --version`");
  page.heading("DESCRIPTION");
  page.paragraph(
      "One perdure-runner stands beside each running task. Perdure starts it; people do not. It starts the command, "
      "stores "
      "the output, enforces the limits, stops all processes of the task when that is asked for, and writes the record. "
      "It needs no other process of perdure, and sleeps while nothing happens.");
  page.paragraph(fmt::format(
      "Its launch specification is read from descriptor {}, version {}; `perdure doctor` reports a runner that expects "
      "another version. Its answer is written to descriptor {}.",
      kSpecFd, kSpecVersion, kAnswerFd));
  page.paragraph(
      "A runner that is killed leaves its task without a keeper. `perdure list` marks such a task with !, and "
      "`perdure reconcile` records what can be proven about it.");
  page.heading("OPTIONS");
  page.item(Roff::bold("--version"), "Print the version of the program and of the launch specification.");
  page.heading("SIGNALS");
  page.item(Roff::bold("SIGTERM"), "Stops the task: SIGTERM to its processes, and SIGKILL after the grace period.");
  page.paragraph("All other signals that can be blocked are blocked.");
  page.heading("ENVIRONMENT");
  page.item(Roff::bold(kRunnerVariable), "Set for the runner only: its task and its session.");
  page.item(Roff::bold(kTaskVariable), "Set for the command: the id of the task.");
  page.item(Roff::bold(kSessionVariable), "Set for the command: the folder of the session.");
  page.heading("FILES");
  const auto file = [&](std::string_view name, std::string_view text) {
    page.item(Roff::bold(fmt::format("SESSION/{}/ID/{}", kTasksDir, name)), text);
  };
  file(kRunnerLock, "Locked as long as the runner lives.");
  file(kControlSocket, "Takes requests; only those of the same user are answered.");
  file(kOutputFile, "What the command printed.");
  file(kHooksLog, "What hooks printed, and how they ended.");
  page.heading("EXIT STATUS");
  page.item(Roff::bold("0"), "The record of the task was committed, or the launch was answered with an error.");
  page.item(Roff::bold("2"), "It was not started by perdure.");
  page.heading("SEE ALSO");
  page.paragraph("`perdure(1)`, `perdure-config(5)`");
  return std::move(page).take();
}

constexpr ManPage kPages[] = {
    {"perdure.1", perdure_page},
    {"perdure-config.5", config_page},
    {"perdure-runner.8", runner_page},
};

}  // namespace

std::span<const ManPage> man_pages() {
  return kPages;
}

}  // namespace perdure::cli
