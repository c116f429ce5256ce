#include "base/clock.h"
#include "base/files.h"
#include "codec/record.h"
#include "manager/idempotency.h"
#include "manager/launch_spec.h"
#include "manager/program.h"
#include "manager/spawn.h"
#include "manager/state.h"
#include "store/records.h"

#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <filesystem>

namespace perdure {

using namespace manager;

namespace {

constexpr std::int64_t kDefaultTruncateLimit = 64 << 20;  // rule L24
constexpr std::size_t kMaxDescription = 80;

std::string first_line_of(const std::string& command) {
  std::string line = command.substr(0, command.find('\n'));
  if (line.size() <= kMaxDescription) return line;
  std::size_t end = kMaxDescription;
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80U) --end;  // never inside a character
  return line.substr(0, end) + "...";
}

Result<TaskId> make_id(std::string_view prefix) {
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";
  unsigned char random[8];
  if (::getrandom(random, sizeof random, 0) != sizeof random)
    return std::unexpected(fail_errno("reading", "random bytes").error());
  std::string text(prefix);
  for (const unsigned char byte : random) text += kDigits[byte % kDigits.size()];
  return TaskId::parse(text);
}

Result<TaskId> claim_id(const store::Session& session, std::string_view prefix) {
  while (true) {
    auto id = make_id(prefix);
    if (!id) return id;
    auto claimed = session.claim(*id);
    if (!claimed) return std::unexpected(claimed.error());
    if (*claimed) return id;
  }
}

Result<std::string> working_folder(const StartOptions& options) {
  std::error_code error;
  const auto path = std::filesystem::absolute(options.cwd.empty() ? "." : options.cwd, error).lexically_normal();
  std::string text = path.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  struct stat about{};
  if (error || ::stat(text.c_str(), &about) != 0)
    return launch_failure(126, errno, fmt::format("cannot run in {}: {}", text, describe_errno(errno)));
  if (!S_ISDIR(about.st_mode))
    return launch_failure(126, ENOTDIR, fmt::format("cannot run in {}: it is not a folder", text));
  return text;
}

Result<> check(const StartOptions& options) {
  const auto holds_nul = [](const std::string& text) { return text.contains('\0'); };
  if (options.argv.empty() == !options.shell_line)
    return fail(ErrorCode::usage, "nothing to run: give a command or a shell line, not both");
  if (options.timeout.count() < 0) return fail(ErrorCode::usage, "the timeout is negative: 0 means none");
  if (options.grace.count() < 0) return fail(ErrorCode::usage, "the grace is negative: 0 means SIGKILL at once");
  if (options.output_limit.value_or(0) < 0) return fail(ErrorCode::usage, "the output limit is negative: 0 means none");
  if (options.idempotency_key)
    if (auto fine = KeyReservation::check(*options.idempotency_key); !fine) return fine;
  for (const auto& word : options.argv)
    if (holds_nul(word)) return fail(ErrorCode::usage, "an argument of the command holds a NUL byte");
  if (options.shell_line && holds_nul(*options.shell_line))
    return fail(ErrorCode::usage, "the shell line holds a NUL byte");
  for (const auto& [name, value] : options.env)
    if (name.empty() || name.contains('=') || holds_nul(name) || holds_nul(value))
      return fail(ErrorCode::usage, fmt::format("'{}' can't be the name of an environment variable", name));
  return {};
}

// What the runner writes is known to it alone; everything else of the record is settled here.
Task constant_part(const TaskId& id, const StartOptions& options, const std::string& cwd) {
  Task task{.id = id};
  task.command = options.shell_line ? *options.shell_line : shell_quoted(options.argv);
  task.description = options.description.empty() ? first_line_of(task.command) : options.description;
  task.cwd = cwd;
  task.owner = options.owner;
  task.labels = options.labels;
  task.parent_tool_call_id = options.tool_call_id;
  task.idempotency_key = options.idempotency_key;
  if (options.session_lifetime) task.lifetime = "session";
  if (!boot_id().empty()) task.boot_id = boot_id();
  if (!machine_id().empty()) task.machine_id = machine_id();
  return task;
}

std::int64_t take_number(std::string_view& text) {
  std::int64_t value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value).ptr;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.starts_with(' ')) text.remove_prefix(1);
  return value;
}

// The runner's answer to a launch (contract/control.h), as success or as an error for people.
Result<> understand(std::string_view answer, const Launch& launch) {
  const std::string_view word = answer.substr(0, answer.find(' '));
  answer.remove_prefix(std::min(answer.size(), word.size() + 1));
  if (word == "running") return {};
  if (word == "limit") {
    const auto held = take_number(answer);
    const auto cap = take_number(answer);
    return fail(
        ErrorCode::task_limit_exceeded,
        fmt::format("{} background tasks are running and max_running_tasks is {}: wait for one to end, or raise it",
                    held, cap));
  }
  const auto os_error = static_cast<int>(take_number(answer));
  if (word == "exec")
    return launch_failure(
        os_error == ENOENT ? 127 : 126, os_error,
        fmt::format("cannot run '{}': {}: {}", launch.argv.front(), launch.program, describe_errno(os_error)));
  if (word == "cwd")
    return launch_failure(126, os_error, fmt::format("cannot run in {}: {}", launch.cwd, describe_errno(os_error)));
  if (word == "failed") return fail_os(os_error, "the runner could not", answer, ErrorCode::task_launch_failed);
  return launch_failure(126, 0, "perdure-runner ended without an answer: it was killed, or is no perdure-runner");
}

// The task as the runner's answer "running PID STARTED_MS" alone tells of it.
Task as_answered(Task task, std::string_view answer, std::string record, std::chrono::milliseconds timeout) {
  answer.remove_prefix(std::min(answer.size(), answer.find(' ') + 1));
  task.pid = take_number(answer);
  task.started_at = take_number(answer);
  task.source = std::move(record);
  if (timeout.count() > 0) task.timeout_ms = timeout.count();
  return task;
}

Result<Launch> plan_launch(const StartOptions& options, const ManagerOptions& manager, const std::string& cwd,
                           const std::string& marker) {
  Launch launch;
  launch.argv = options.shell_line ? std::vector<std::string>{options.shell, "-c", *options.shell_line} : options.argv;
  launch.environment = environment_for(options, marker);
  launch.cwd = cwd;
  auto program = find_program(launch.argv.front(), launch.environment["PATH"], cwd);
  if (!program) return std::unexpected(program.error());
  launch.program = *program;
  launch.owner = options.owner.value_or("");
  launch.timeout = options.timeout;
  launch.grace = options.grace;
  const bool truncates = options.on_output_limit == OnOutputLimit::truncate;
  launch.output_limit = options.output_limit.value_or(truncates ? kDefaultTruncateLimit : 0);
  launch.on_output_limit = options.on_output_limit;
  launch.leftovers = options.leftovers;
  launch.max_running = manager.max_running_tasks.value_or(0);
  launch.sync_output = options.sync_output;
  return launch;
}

}  // namespace

Result<Task> TaskManager::start(const StartOptions& options) {
  if (auto fine = check(options); !fine) return std::unexpected(fine.error());
  auto cwd = working_folder(options);
  if (!cwd) return std::unexpected(cwd.error());
  auto runner = find_runner(state_->options.runner);
  if (!runner) return std::unexpected(runner.error());
  const auto& session = state_->session;
  // A command that is not there must not even make the session's folder.
  auto launch = plan_launch(options, state_->options, *cwd, "");
  if (!launch) return std::unexpected(launch.error());
  if (auto made = session.create(); !made) return std::unexpected(made.error());

  std::optional<KeyReservation> key;
  if (options.idempotency_key) {
    auto reserved = KeyReservation::take(session, *options.idempotency_key);
    if (!reserved) return std::unexpected(reserved.error());
    if (const auto known = reserved->find_known(session)) {
      if (auto task = get(*known)) return task;
    }
    key = std::move(*reserved);
  }

  auto id = claim_id(session, "bash-");
  if (!id) return std::unexpected(id.error());
  const auto give_up = [&](Error error) -> Result<Task> {
    ::rmdir(session.folder_path(*id).c_str());
    return std::unexpected(std::move(error));
  };
  if (key)
    if (auto noted = key->note(*id); !noted) return give_up(noted.error());
  const std::string marker = session.marker(*id);
  launch->environment = environment_for(options, marker);
  Task constant = constant_part(*id, options, *cwd);
  launch->constant_members = codec::constant_members(constant);
  if (launch->constant_members.size() > codec::kMaxRecordBytes - 65536)
    return give_up(fail(ErrorCode::usage,
                        "the command with its description and labels is too long for a record: put it into a script")
                       .error());
  auto spec = write_launch_spec(*launch);
  if (!spec) return give_up(spec.error());
  auto answer = spawn_runner(*runner, session.path(), id->str(), marker, *spec);
  if (!answer) return give_up(answer.error());
  if (auto understood = understand(*answer, *launch); !understood) return give_up(understood.error());
  if (auto task = store::find_record(session, *id); task && *task) return std::move(**task);
  // It runs, whatever keeps us from reading its record: an error here would have a caller start it a second time.
  return as_answered(std::move(constant), *answer, session.record_path(*id), options.timeout);
}

}  // namespace perdure
