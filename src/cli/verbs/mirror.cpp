#include "base/error.h"
#include "base/fd.h"
#include "cli/console/call.h"
#include "cli/verbs/verbs.h"
#include "store/session.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <mutex>
#include <thread>

// Reports this host's tasks to a Perdure on another host (manager/far/contact.h). Lines of the input:
//   watch ID BYTES   report that task; the other host has so many bytes of its log
//   key KEY          report the task with that idempotency key
// Lines of the output, `record` and `log` with bytes after them:
//   record ID N · log ID OFFSET N · unverified ID · unknown ID · nosession · end
// The log is sent before a record that counts its bytes. It ends with its input; with --once it answers the lines of
// the input and ends.
namespace perdure::cli {
namespace {

constexpr Option kMirrorOptions[] = {
    {"--once", nullptr, "report the present state and exit"},
};

constexpr std::size_t kPart = 256 << 10;
constexpr std::chrono::milliseconds kLookAgain{1'000};

class Mirror {
 public:
  Mirror(TaskManager& manager, bool once)
      : manager_(manager), once_(once), cancel_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Mirror() {
    const std::uint64_t one = 1;
    static_cast<void>(!::write(cancel_.get(), &one, sizeof one));
  }
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;

  void obey(std::string_view line) {
    const std::string word = take(line);
    const std::string name = take(line);
    if (word == "key") return tell_of_key(name);
    auto id = TaskId::parse(name);
    if (word != "watch" || !id) return frame(fmt::format("unknown {}\n", name), {});
    std::int64_t at = 0;
    std::from_chars(line.data(), line.data() + line.size(), at);
    if (once_) return tell(*id, at);
    threads_.emplace_back([this, watched = *id, at] { tell(watched, at); });
  }

  void frame(const std::string& head, std::string_view bytes) {
    const std::scoped_lock lock(mutex_);
    for (std::string_view part : {std::string_view(head), bytes})
      while (!part.empty()) {
        const ssize_t n = ::write(STDOUT_FILENO, part.data(), part.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) std::_Exit(0);  // the reader has closed it
        part.remove_prefix(static_cast<std::size_t>(n));
      }
  }

 private:
  static std::string take(std::string_view& text) {
    const auto end = std::min(text.find(' '), text.size());
    std::string word(text.substr(0, end));
    text.remove_prefix(std::min(text.size(), end + 1));
    return word;
  }

  void record(const Task& task) {
    const std::string json = record_json(task);
    frame(fmt::format("record {} {}\n", task.id.str(), json.size()), json);
  }

  // The file unchanged, markers of dropped bytes included: it only grows, until the runner joins the segments at the
  // end.
  void send_log(const TaskId& id, std::int64_t& at) {
    auto path = manager_.output_path(id);
    if (!path || !*path) return;
    const Fd file(::open((*path)->c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) return;
    std::string part(kPart, '\0');
    while (true) {
      const ssize_t n = ::pread(file.get(), part.data(), part.size(), at);
      if (n <= 0) return;
      frame(fmt::format("log {} {} {}\n", id.str(), at, n),
            std::string_view(part).substr(0, static_cast<std::size_t>(n)));
      at += n;
    }
  }

  [[nodiscard]] bool is_cancelled() const {
    pollfd look{.fd = cancel_.get(), .events = POLLIN, .revents = 0};
    return ::poll(&look, 1, 0) > 0;
  }

  void tell(const TaskId& id, std::int64_t at) {
    std::string told;  // the status and the engine's state, as last sent
    while (!is_cancelled()) {
      // Settles it if its runner was killed, so that this host's proof is recorded here, too.
      const auto settled =
          manager_.wait({.ids = {id}, .timeout = std::chrono::milliseconds(0), .part_of_longer_wait = true});
      auto task = manager_.get(id);
      if (!task) return frame(fmt::format("unknown {}\n", id.str()), {});
      const std::int64_t before = at;
      send_log(id, at);
      if (is_terminal(task->status)) return record(*task);
      std::string now(name_of(task->status));
      if (task->executor)
        now += fmt::format(" {} {} {}", task->executor->state.value_or(""), task->executor->reason.value_or(""),
                           task->executor->node.value_or(""));
      if (now != told) record(*task);
      if (task->found.unverified) return frame(fmt::format("unverified {}\n", id.str()), {});
      if (once_) return;
      told = std::move(now);
      if (at > before) continue;
      // Once the output limit was exceeded, the log grows in other files: they are joined only at the end.
      const auto output = manager_.read_output(id, 0, 0);
      const std::int64_t size = output ? output->size : at;
      // A task in an engine of this host, waiting or running, changes without output, too.
      const auto patience = task->executor ? std::optional(kLookAgain) : std::nullopt;
      if (!manager_.await_output(id, std::max(size, at), patience, Cancellation::when_readable(cancel_.get()))) return;
    }
  }

  void tell_of_key(const std::string& key) {
    auto tasks = manager_.list({.ended = true});
    if (tasks)
      for (const auto& task : *tasks)
        if (task.origin.idempotency_key == key) return record(task);
    frame(fmt::format("unknown {}\n", key), {});
  }

  TaskManager& manager_;
  bool once_;
  Fd cancel_;
  std::mutex mutex_;
  std::vector<std::jthread> threads_;
};

Result<int> mirror(Call& call) {
  auto path = call.session_path();
  if (!path) return std::unexpected(path.error());
  auto manager = call.manager(Call::BadConfig::is_told);
  if (!manager) return std::unexpected(manager.error());
  const bool once = call.has("--once");
  Mirror mirror(**manager, once);
  const bool is_there = store::Session(*path).exists();
  std::string text;
  std::array<char, 4096> part{};
  while (true) {
    const ssize_t n = ::read(STDIN_FILENO, part.data(), part.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(part.data(), static_cast<std::size_t>(n));
    for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
      const std::string line = text.substr(0, end);
      text.erase(0, end + 1);
      if (!is_there) {
        mirror.frame("nosession\n", {});
      } else {
        mirror.obey(line);
      }
    }
  }
  if (once) mirror.frame("end\n", {});
  return 0;
}

}  // namespace

const Verb kMirrorVerb{"mirror", "", "for other hosts: tell of tasks here", kMirrorOptions, mirror, false, true};

}  // namespace perdure::cli
