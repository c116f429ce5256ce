// Receives reports from other hosts, once or while a caller waits.
#include "base/clock.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "base/try.h"
#include "codec/fields.h"
#include "codec/record.h"
#include "manager/far/contact.h"
#include "manager/far/mirror.h"
#include "manager/far/said_there.h"
#include "manager/far/turn.h"
#include "manager/link/program.h"
#include "store/ownership.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

namespace perdure::manager {
namespace {

constexpr std::int64_t kFirstLookMs = 250, kLongestLookMs = 5'000;                      // at the shared folder
constexpr std::int64_t kFirstAskMs = 1'000, kLongestAskMs = 30'000, kQuietFactor = 10;  // Slurm
constexpr std::int64_t kOnceMs = 35'000;
constexpr std::int64_t kLongestKeepMs = 5'000;  // between looks at what a task waits for that is kept here
constexpr std::int64_t kBetweenNewsMs = 20;
constexpr std::int64_t kFirstPauseMs = 1'000, kLongestPauseMs = 60'000;

bool is_readable(int fd, std::int64_t for_ms) {
  pollfd look{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&look, 1, static_cast<int>(for_ms)) > 0;
}

void drain(const Fd& news) {
  alignas(inotify_event) std::array<char, 4096> buffer{};
  while (::read(news.get(), buffer.data(), buffer.size()) > 0) {
  }
}

}  // namespace

// One conversation with `perdure mirror` on the other host. Ends without an error when none of its tasks is left.
Result<> FarContact::hear(const ExecutorDefinition& executor, Mode mode) {
  auto host = host_of(executor);
  if (!host) return std::unexpected(host.error());
  std::map<std::string, far::FarTask> watched;  // by their ids on the other host
  std::set<TaskId> known;
  const Fd news(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (news && mode == Mode::held)
    ::inotify_add_watch(news.get(), far::entries_path(session_).c_str(), IN_CREATE | IN_CLOSE_WRITE | IN_ONLYDIR);

  bool keeps = false;  // some wait here for others
  const auto settle_all = [&]() -> Result<> {
    keeps = false;
    for (const auto& task : tasks_of(executor.name)) {
      if (task.place) continue;
      if (auto settled = settle_unplaced(task); !settled) return settled;
      keeps = keeps || (task.is_parked && far::is_entered(session_, task.planned.id));
    }
    // An end, and a start, of what they wait for is a record that is renamed.
    if (keeps && news && mode == Mode::held)
      ::inotify_add_watch(news.get(), session_.tasks_path().c_str(), IN_MOVED_TO | IN_ONLYDIR);
    return {};
  };
  if (auto settled = settle_all(); !settled) return settled;
  for (const auto& task : tasks_of(executor.name))
    if (task.place && task.stop)
      if (auto asked = ask_to_stop(task); !asked) return asked;

  const std::vector<std::string> words =
      mode == Mode::once ? std::vector<std::string>{"mirror", "--once"} : std::vector<std::string>{"mirror"};
  std::optional<far::Channel> channel;
  far::Welcome from;
  const auto watch_new = [&]() -> Result<> {
    for (auto& task : tasks_of(executor.name)) {
      if (!task.place || !known.insert(task.planned.id).second) continue;
      if (!channel) {
        TRY(auto opened, host->open(words, {},
                                    {.until = mode == Mode::once ? steady_ms() + kCallMs : -1,
                                     .cancel_fd = cancel_.get(),
                                     .may_be_master = mode == Mode::held},
                                    &from));
        channel.emplace(std::move(opened));
      }
      const auto line = fmt::format("watch {} {}\n", *task.place, mirrored_bytes(session_, task.planned.id));
      if (auto sent = channel->send(line); !sent) return sent;
      watched.emplace(*task.place, std::move(task));
    }
    return {};
  };
  const auto gone = [&](const far::FarTask& task, std::string why) -> Result<> {
    auto ended =
        end_without_record(session_, telemetry_, task.planned.id,
                           {.status = Status::lost, .evidence = Evidence::engine_gone, .reason = std::move(why)});
    if (!ended) return std::unexpected(ended.error());
    return {};
  };
  const auto handle = [&](const Frame& frame) -> Result<bool> {
    if (frame.bytes < 0 || static_cast<std::size_t>(frame.bytes) > kMostFrame)
      return far::far_failure(far::kUnreachable,
                              fmt::format("{} sends what is not understood", far::place_of(executor)));
    const auto found = watched.find(frame.id);
    if (frame.word == "end") return false;
    if (frame.word == "record" || frame.word == "log") {
      auto bytes = channel->bytes(static_cast<std::size_t>(frame.bytes));
      if (!bytes) return std::unexpected(bytes.error());
      if (found == watched.end()) return true;
      const TaskId id = found->second.planned.id;
      if (frame.word == "log") {
        TRY_VOID(add_output(session_, id, frame.offset, *bytes));
        return true;
      }
      if (const auto waiting = waiting_in(*bytes)) {
        TRY_VOID(note_waiting(session_, id, *waiting));
        return true;
      }
      auto there = decode_any(*bytes);
      if (!there) return std::unexpected(there.error());
      TRY(auto taken, take_over(session_, telemetry_, id, *there, from));
      if (is_terminal(taken.status)) watched.erase(found);
    } else if (frame.word == "unverified" && found != watched.end()) {
      {
        const std::scoped_lock lock(mutex_);
        out_of_reach_.insert(found->second.planned.id.str());
      }
      auto noted = note_silence(session_, found->second.planned.id,
                                fmt::format("{} can't tell what became of it", far::place_of(executor)));
      if (!noted) return std::unexpected(noted.error());
      watched.erase(found);
    } else if (frame.word == "unknown" && found != watched.end()) {
      const auto& machine = found->second.machine;
      const bool other = !machine.empty() && machine != from.machine_id;
      auto ended = gone(found->second,
                        other ? fmt::format("{} is another machine now ({} instead of {}) and does not know the task",
                                            far::place_of(executor), from.machine_id, machine)
                              : fmt::format("{} does not know the task any more", far::place_of(executor)));
      if (!ended) return std::unexpected(ended.error());
      watched.erase(found);
    } else if (frame.word == "nosession") {
      // It could also be a home folder that is not mounted. Only another machine id is proof.
      for (const auto& [place, task] : watched)
        if (task.machine.empty() || task.machine == from.machine_id)
          return far::far_failure(far::kUnreachable, fmt::format("the folder {} is not there on {}", executor.session,
                                                                 far::place_of(executor)));
      for (const auto& [place, task] : watched)
        if (auto ended = gone(task, fmt::format("{} is another machine now: {} instead of {}", far::place_of(executor),
                                                from.machine_id, task.machine));
            !ended)
          return std::unexpected(ended.error());
      return false;
    }
    return true;
  };

  if (auto begun = watch_new(); !begun) return begun;
  if (channel && mode == Mode::once) channel->end_input();
  while ((channel && (mode == Mode::once || !watched.empty())) || (keeps && mode == Mode::held)) {
    if (!channel || !channel->has_more()) {
      std::array<pollfd, 3> fds = {{{.fd = channel ? channel->output_fd() : -1, .events = POLLIN, .revents = 0},
                                    {.fd = mode == Mode::held ? news.get() : -1, .events = POLLIN, .revents = 0},
                                    {.fd = cancel_.get(), .events = POLLIN, .revents = 0}}};
      const std::int64_t patience = mode == Mode::once ? kCallMs : keeps ? kLongestKeepMs : -1;
      const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(patience));
      if (ready < 0 && errno != EINTR) return fail_errno("waiting for", far::place_of(executor));
      if (fds[2].revents != 0) return {};
      if (fds[1].revents != 0) {
        drain(news);
      }
      if (fds[1].revents != 0 || (keeps && ready == 0)) {
        if (auto settled = settle_all(); !settled) return settled;
        if (auto begun = watch_new(); !begun) return begun;
      }
      if (fds[0].revents == 0) continue;
    }
    auto line = channel->line();
    if (!line) return std::unexpected(line.error());
    TRY(auto more, handle(frame_of(*line)));
    if (!more) break;
  }
  return {};
}

Result<> FarContact::ask_to_stop(const far::FarTask& task) const {
  const std::int64_t grace = std::max<std::int64_t>(task.stop->grace_ms, 0);
  std::vector<std::string> words{"stop", *task.place, "--json", "--reason=" + task.stop->reason};
  if (task.stop->grace_ms >= 0) words.push_back(fmt::format("--grace={}ms", task.stop->grace_ms));
  TRY(auto answer, call(task, words, steady_ms() + grace + kStopMs));
  if (answer.exit_status == 255 && answer.output.empty())
    return far::far_failure(far::kUnreachable, last_line(answer.errors));
  return {};  // the record there has the result
}

// One query at a time for all processes: the others read the result that it noted.
Result<> FarContact::ask_in_turn(const ExecutorDefinition& executor, Cluster& cluster, bool& unsure) const {
  const std::string path = fmt::format("{}/.ask-{}", far::entries_path(session_), executor.name);
  auto turn = open_at(AT_FDCWD, path, O_RDWR | O_CREAT, path);
  if (!turn) return std::unexpected(turn.error());
  TRY(auto taken, try_lock(turn->get(), path));
  unsure = !taken;
  if (!taken) return {};
  TRY(auto again, cluster.ask(tasks_of(executor.name)));
  unsure = again;
  return {};
}

// As hear(), for a cluster: reads the shared folder often, and asks Slurm rarely. Ends when no task is left or, with
// Mode::once, when everything available is known.
Result<> FarContact::hear_cluster(const ExecutorDefinition& executor, Mode mode) {
  Cluster cluster(session_, executor, telemetry_, cancel_.get());
  std::set<TaskId> asked_to_stop;
  std::int64_t pause = kFirstLookMs;
  std::int64_t ask_pause = kFirstAskMs;
  std::int64_t next_ask = 0;
  const std::int64_t until = steady_ms() + kOnceMs;
  const Fd news(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  bool unsure = false;
  while (true) {
    const auto tasks = tasks_of(executor.name);
    if (tasks.empty()) return {};
    bool is_stopping = false;
    bool keeps = false;  // some wait here for others
    std::int64_t room =
        executor.max_submitted - std::ranges::count_if(tasks, [](const far::FarTask& task) { return !task.is_parked; });
    for (const auto& task : tasks) {
      if (task.is_parked && !task.stop) {
        const bool waits = turn_of(session_, task).state == Turn::State::waits;
        keeps = keeps || waits;
        if (waits || room-- <= 0) continue;
      }
      if (!task.place)
        if (auto settled = cluster.settle_unplaced(task); !settled) return settled;
      is_stopping |= task.stop.has_value();
      if (task.place && task.stop && asked_to_stop.insert(task.planned.id).second)
        if (auto asked = cluster.stop(task); !asked) return asked;
    }
    TRY(auto changed, cluster.look(tasks));
    if (steady_ms() >= next_ask) {
      const std::int64_t began = steady_ms();
      if (auto asked = ask_in_turn(executor, cluster, unsure); !asked) return asked;
      const std::int64_t took = steady_ms() - began;
      ask_pause = std::min(std::max(ask_pause * 2, took * kQuietFactor), kLongestAskMs);
      next_ask = steady_ms() + (unsure || is_stopping ? kFirstAskMs : ask_pause);
    }
    if (mode == Mode::once && ((!unsure && !is_stopping) || steady_ms() >= until)) return {};
    pause = changed || is_stopping ? kFirstLookMs : std::min(kLongestLookMs, pause * 3 / 2);
    if (keeps && news) ::inotify_add_watch(news.get(), session_.tasks_path().c_str(), IN_MOVED_TO | IN_ONLYDIR);
    std::array<pollfd, 2> fds = {{{.fd = cancel_.get(), .events = POLLIN, .revents = 0},
                                  {.fd = keeps ? news.get() : -1, .events = POLLIN, .revents = 0}}};
    static_cast<void>(::poll(fds.data(), fds.size(), static_cast<int>(pause)));
    if (fds[0].revents != 0) return {};
    if (fds[1].revents == 0) continue;
    drain(news);
    if (is_readable(cancel_.get(), kBetweenNewsMs)) return {};
  }
}

void FarContact::note_silence_of(const std::string& executor, const std::string& why) const {
  for (const auto& task : tasks_of(executor)) static_cast<void>(note_silence(session_, task.planned.id, why));
}

void FarContact::follow_one(const ExecutorDefinition& executor) {
  std::int64_t pause = kFirstPauseMs;
  while (!is_readable(cancel_.get(), 0)) {
    {
      // Checked under the lock, so that follow() either sees that this is over or this sees its task.
      const std::scoped_lock lock(mutex_);
      const auto tasks = tasks_of(executor.name);
      if (std::ranges::all_of(
              tasks, [&](const far::FarTask& task) { return out_of_reach_.contains(task.planned.id.str()); })) {
        followed_[executor.name].is_over = true;
        return;
      }
    }
    auto heard = executor.type == ExecutorDefinition::Type::slurm ? hear_cluster(executor, Mode::held)
                                                                  : hear(executor, Mode::held);
    if (is_readable(cancel_.get(), 0)) break;
    if (heard) {
      pause = kFirstPauseMs;
      // Only tasks that another process is placing right now may be left; that process reports when it has placed them.
      if (is_readable(cancel_.get(), 100)) break;
      continue;
    }
    if (!far::is_far_failure(heard.error(), far::kUnreachable)) {
      {
        const std::scoped_lock lock(mutex_);
        out_of_reach_.insert(executor.name);
        followed_[executor.name].is_over = true;
      }
      note_silence_of(executor.name, heard.error().message);
      return;
    }
    note_silence_of(executor.name, heard.error().message);
    if (is_readable(cancel_.get(), pause)) break;
    pause = std::min(kLongestPauseMs, pause * 2);
  }
}

void FarContact::follow() {
  // Called at each wait: if no task was added or removed since the last scan, there is nothing to do.
  struct stat about{};
  if (::stat(far::entries_path(session_).c_str(), &about) != 0) return;
  const std::int64_t changed = about.st_mtim.tv_sec * 1'000'000'000 + about.st_mtim.tv_nsec;
  {
    const std::scoped_lock lock(mutex_);
    const bool all_follow = std::ranges::none_of(followed_, [](const auto& one) { return one.second.is_over; });
    if (changed == looked_at_ && all_follow) return;
    looked_at_ = changed;
  }
  std::set<std::string> names;
  for (const auto& task : tasks_of({})) names.insert(task.executor());
  const std::scoped_lock lock(mutex_);
  for (const auto& name : names) {
    auto executor = find(name);
    if (!executor) {
      out_of_reach_.insert(name);
      continue;
    }
    Following& following = followed_[name];
    if (following.thread.joinable() && !following.is_over) continue;
    if (following.thread.joinable()) following.thread.join();
    following.is_over = false;
    out_of_reach_.erase(name);
    following.thread = std::jthread([this, definition = *executor] { follow_one(*definition); });
  }
}

bool FarContact::is_out_of_reach(const Task& task) {
  const std::scoped_lock lock(mutex_);
  return out_of_reach_.contains(task.id.str()) || (task.executor && out_of_reach_.contains(task.executor->name));
}

void FarContact::refresh(const std::string& only) {
  std::set<std::string> names;
  for (const auto& task : tasks_of(only)) names.insert(task.executor());
  for (const auto& name : names) {
    auto executor = find(name);
    if (!executor) {
      note_silence_of(name, executor.error().message);
      continue;
    }
    auto heard = (*executor)->type == ExecutorDefinition::Type::slurm ? hear_cluster(**executor, Mode::once)
                                                                      : hear(**executor, Mode::once);
    if (!heard) note_silence_of(name, heard.error().message);
  }
}

}  // namespace perdure::manager
