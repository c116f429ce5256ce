#include "cli/integrations/hook_claude_code.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/utf8.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "mcp/service/describe.h"
#include "mcp/service/news.h"
#include "mcp/service/service.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <functional>
#include <optional>

namespace perdure::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostAtOnce = 20, kMostListed = 20;
constexpr std::chrono::milliseconds kLookAgain = std::chrono::seconds(20), kRewakePatience = std::chrono::hours(24);
constexpr int kRewake = 2;                           // starts a turn in Claude Code
constexpr std::string_view kClient = "claude-code";  // its name over MCP: both see the same tasks
constexpr std::string_view kVia = "hook";

// The client's input for a hook. All of it is optional: there is none if a user runs the hook.
json::object read_hook_input() {
  if (::isatty(STDIN_FILENO) == 1) return {};
  std::string bytes;
  char part[65536];
  while (true) {
    const ssize_t n = ::read(STDIN_FILENO, part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    bytes.append(part, static_cast<std::size_t>(n));
  }
  boost::system::error_code error;
  json::value value = json::parse(bytes, error);
  return error || !value.is_object() ? json::object() : std::move(value.get_object());
}

// The agent may have changed its working folder; the project stays.
std::string project_of(const json::object& input) {
  if (auto folder = environment("CLAUDE_PROJECT_DIR")) return *folder;
  const auto* const folder = input.if_contains("cwd");
  return folder != nullptr && folder->is_string() ? std::string(folder->get_string()) : ".";
}

// `claude -p` does not exit before its hooks: without a user it would wait as long as a task runs.
bool is_attended() {
  if (const auto attended = environment("CLAUDE_CODE_SESSION_ATTENDED")) return *attended != "0";
  return environment("CLAUDE_CODE_ENTRYPOINT").value_or("") != "sdk-cli";
}

mcp::Caller caller() {
  return {.name = std::string(kClient)};
}

std::string text_of(const std::vector<Notification>& news) {
  std::string text;
  for (const auto& one : news) text += mcp::news_xml(one, caller()) + "\n";
  return text;
}

Result<std::string> what_runs(TaskManager& manager, const std::string& owner) {
  auto tasks = manager.list({.owner = owner});
  if (!tasks) return std::unexpected(tasks.error());
  if (tasks->empty()) return std::string();
  std::string text = mcp::with_tool_names(
      "These background tasks of yours are still running; @TaskOutput, @WaitFor and @TaskStop of the server perdure "
      "take "
      "their task_id:\n",
      caller());
  for (std::size_t i = 0; i < tasks->size() && i < kMostListed; ++i) {
    const Task& task = (*tasks)[i];
    text += "- " + mcp::task_line(task);
    if (task.agent.id) text += fmt::format(" (agent_id {})", harmless_line(task.agent.id->text));
    text += "\n";
  }
  if (tasks->size() > kMostListed)
    text += mcp::with_tool_names(fmt::format("- and {} more: @TaskList\n", tasks->size() - kMostListed), caller());
  return text;
}

bool write_error(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

void put_context(std::string_view event, const std::string& context) {
  put_line(json::serialize(json::object{
      {"hookSpecificOutput", json::object{{"hookEventName", event}, {"additionalContext", to_valid_utf8(context)}}}}));
}

class Hook {
 public:
  Hook(TaskManager& manager, std::string owner) : manager_(manager), owner_(std::move(owner)) {}

  // A turn that is about to end continues if a task has ended meanwhile. Each notification comes once, so this
  // terminates.
  Result<int> stop(std::optional<std::chrono::milliseconds> patience) {
    auto news = patience ? claim_within(*patience) : claim();
    if (!news) return std::unexpected(news.error());
    if (news->empty()) return 0;
    put_line(json::serialize(json::object{
        {"decision", "block"}, {"reason", to_valid_utf8("Background tasks have ended:\n" + text_of(*news))}}));
    return acknowledge(*news);
  }

  // Runs beside an idle session (asyncRewake): its standard error and exit status 2 start a turn.
  Result<int> rewake(std::chrono::milliseconds patience) {
    const pid_t client = ::getppid();
    const Fd only_one = take_turn();
    if (only_one.get() < 0) return 0;
    auto news = claim_within(patience);
    if (!news) return std::unexpected(news.error());
    // If the session has ended meanwhile, it reads nothing: the notifications stay for the next one.
    if (news->empty() || ::getppid() != client) return 0;
    if (!write_error("Background tasks have ended:\n" + text_of(*news))) return 0;
    if (auto done = acknowledge(*news); !done) return done;
    return kRewake;
  }

  Result<int> prompt() {
    auto news = claim();
    if (!news) return std::unexpected(news.error());
    if (news->empty()) return 0;
    put_context("UserPromptSubmit", "Background tasks have ended:\n" + text_of(*news));
    return acknowledge(*news);
  }

  Result<int> session_start() {
    auto news = claim();
    if (!news) return std::unexpected(news.error());
    auto running = what_runs(manager_, owner_);
    if (!running) return std::unexpected(running.error());
    std::string context = *running;
    if (!news->empty()) context += "Background tasks have ended meanwhile:\n" + text_of(*news);
    if (!context.empty()) put_context("SessionStart", context);
    return acknowledge(*news);
  }

  // Plain text: the client appends it to the instructions for the summary.
  Result<int> precompact() {
    auto running = what_runs(manager_, owner_);
    if (!running) return std::unexpected(running.error());
    if (!running->empty()) put_line("Keep in the summary:\n" + to_valid_utf8(*running));
    return 0;
  }

 private:
  // Returns as soon as there are notifications, and at the latest when no task of the owner runs: no more can come
  // then.
  Result<std::vector<Notification>> claim_within(std::chrono::milliseconds patience) {
    const std::int64_t until = steady_ms() + patience.count();
    while (true) {
      const auto active = manager_.list({.owner = owner_});
      if (!active) return std::unexpected(active.error());
      auto news = claim();  // after the check: it includes tasks that ended in between
      const std::int64_t left = until - steady_ms();
      if (!news || !news->empty() || (active->empty() && !grace_) || left <= 0) return news;
      if (grace_) {
        // Pending, but the client is about to get them from another channel.
        ::poll(nullptr, 0, static_cast<int>(std::min({grace_->count(), left, std::int64_t{1000}})));
        continue;
      }
      // An end without a notification (the owner's own stop) does not wake it, so it checks again now and then.
      const auto waited = manager_.notifications().await(
          {.owner = owner_, .timeout = std::min(std::chrono::milliseconds(left), kLookAgain)});
      if (!waited) return std::unexpected(waited.error());
    }
  }

  // One waiter for each session and owner. The kernel frees the name with the descriptor, even if this process is
  // killed.
  [[nodiscard]] Fd take_turn() const {
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = fmt::format("perdure-rewake-{}-{:016x}", ::getuid(),
                                         std::hash<std::string>()(manager_.session() + '\0' + owner_));
    std::memcpy(address.sun_path + 1, name.data(), name.size());  // abstract: no file on disk
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return Fd();
    return socket;
  }

  // Leaves out what the client gets by polling: a hook that runs in between would deliver it twice.
  Result<std::vector<Notification>> claim() {
    grace_.reset();
    auto news = manager_.notifications().claim({.owner = owner_, .most = kMostAtOnce});
    if (!news) return news;
    std::vector<Notification> left;
    std::erase_if(*news, [&](const Notification& one) {
      const auto grace = mcp::left_to_polling(manager_, one);
      if (grace.count() == 0) return false;
      grace_ = std::min(grace_.value_or(grace), grace);
      left.push_back(one);
      return true;
    });
    manager_.notifications().release(left);
    return news;
  }
  // Called after everything was written: if the reader has closed the pipe, the program has exited before.
  Result<int> acknowledge(const std::vector<Notification>& news) {
    std::vector<std::string> ids;
    ids.reserve(news.size());
    for (const auto& one : news) ids.push_back(one.id);
    if (ids.empty()) return 0;
    if (auto done = manager_.notifications().acknowledge(ids, kVia); !done) return std::unexpected(done.error());
    return 0;
  }

  TaskManager& manager_;
  std::string owner_;
  // Set by claim(): when the first notification that was left to polling may be delivered here.
  std::optional<std::chrono::milliseconds> grace_;
};

}  // namespace

Result<int> hook_claude_code(Call& call) {
  if (call.arguments.size() != 2)
    return fail(ErrorCode::usage, "claude-code: name one event: stop, rewake, prompt, session-start or precompact");
  const std::string_view event = call.arguments[1];
  auto patience = call.duration("--wait");
  if (!patience) return std::unexpected(patience.error());
  if (*patience && event != "stop" && event != "rewake")
    return fail(ErrorCode::usage, "--wait: is for `hook claude-code stop` and `rewake`");
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  const json::object input = read_hook_input();
  Hook hook(**manager, call.value("--owner").value_or(mcp::default_owner(kClient, project_of(input))));
  if (event == "stop") return hook.stop(*patience);
  if (event == "rewake")
    return hook.rewake(patience->value_or(is_attended() ? kRewakePatience : std::chrono::milliseconds(0)));
  if (event == "prompt") return hook.prompt();
  if (event == "session-start") return hook.session_start();
  if (event == "precompact") return hook.precompact();
  return fail(ErrorCode::usage,
              fmt::format("claude-code: expected stop, rewake, prompt, session-start or precompact, got '{}'",
                          harmless_line(event)));
}

}  // namespace perdure::cli
