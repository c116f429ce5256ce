#include "conditions/ready.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/files.h"
#include "base/process.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <dirent.h>
#include <sstream>
#include <unordered_set>

namespace perdure::conditions {
namespace {

constexpr int kHttpPatienceMs = 2'000;
constexpr std::int64_t kTailForReason = 16'384;

std::optional<std::uint16_t> port_of(std::string_view digits) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || port == 0) return std::nullopt;
  return port;
}

// Rows of /proc/PID/net/tcp: "sl local:PORT remote:PORT st tx:rx tr:when retrnsmt uid timeout inode".
void read_table(const std::string& path, std::uint16_t port, std::vector<Listener>& found) {
  std::istringstream table(read_kernel_file(path));
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    std::istringstream row(line);
    std::string sl, local, remote, state, queues, timer, retransmits, timeout;
    Listener one;
    row >> sl >> local >> remote >> state >> queues >> timer >> retransmits >> one.uid >> timeout >> one.inode;
    constexpr std::string_view kListen = "0A";
    const auto colon = local.rfind(':');
    if (!row || state != kListen || colon == std::string::npos) continue;
    std::uint32_t number = 0;
    std::from_chars(local.data() + colon + 1, local.data() + local.size(), number, 16);
    if (number == port && std::ranges::find(found, one.inode, &Listener::inode) == found.end()) found.push_back(one);
  }
}

// The inodes of the sockets that a process has open.
void add_sockets(std::int64_t pid, std::unordered_set<std::uint64_t>& inodes) {
  const std::string path = fmt::format("/proc/{}/fd", pid);
  DIR* const folder = ::opendir(path.c_str());
  if (folder == nullptr) return;
  while (const dirent* const entry = ::readdir(folder)) {  // NOLINT(concurrency-mt-unsafe): no other thread uses it
    char target[64] = {};
    constexpr std::string_view kSocket = "socket:[";
    if (::readlinkat(::dirfd(folder), entry->d_name, target, sizeof target - 1) <= 0) continue;
    const std::string_view text(target);
    if (!text.starts_with(kSocket)) continue;
    std::uint64_t inode = 0;
    std::from_chars(text.data() + kSocket.size(), text.data() + text.size(), inode);
    inodes.insert(inode);
  }
  ::closedir(folder);
}

// The process that has the socket: needed for a message only.
std::int64_t owner_of(std::uint64_t inode) {
  for (const pid_t pid : all_processes()) {
    std::unordered_set<std::uint64_t> inodes;
    add_sockets(pid, inodes);
    if (inodes.contains(inode)) return pid;
  }
  return 0;
}

std::string described(const Listener& listener) {
  if (listener.pid > 0)
    return fmt::format("pid {} ({})", listener.pid, command_line_of(static_cast<pid_t>(listener.pid)));
  if (listener.uid >= 0) return fmt::format("a process of uid {} (owner not visible)", listener.uid);
  return "a process that is not visible";
}

bool wait_for(int fd, short events) {
  pollfd look{.fd = fd, .events = events, .revents = 0};
  int n = 0;
  while ((n = ::poll(&look, 1, kHttpPatienceMs)) < 0 && errno == EINTR) {
  }
  return n > 0;
}

// The status of the response to GET from one address; 0: none.
int ask(const sockaddr* address, socklen_t length, const ReadyCondition& where) {
  const Fd socket(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return 0;
  if (::connect(socket.get(), address, length) != 0 && (errno != EINPROGRESS || !wait_for(socket.get(), POLLOUT)))
    return 0;
  const std::string request =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}:{}\r\nUser-Agent: perdure\r\nAccept: */*\r\nConnection: close\r\n\r\n",
                  where.target, where.host, where.port);
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return 0;
  std::string answer;
  while (!answer.contains('\n') && answer.size() < 1024) {
    char part[256];
    if (!wait_for(socket.get(), POLLIN)) return 0;
    const ssize_t n = ::recv(socket.get(), part, sizeof part, 0);
    if (n <= 0) return 0;
    answer.append(part, static_cast<std::size_t>(n));
  }
  int status = 0;
  const auto blank = answer.find(' ');
  if (!answer.starts_with("HTTP/") || blank == std::string::npos) return 0;
  std::from_chars(answer.data() + blank + 1, answer.data() + answer.size(), status);
  return status;
}

bool answers(const ReadyCondition& where) {
  sockaddr_in four{
      .sin_family = AF_INET, .sin_port = htons(where.port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  sockaddr_in6 six{.sin6_family = AF_INET6, .sin6_port = htons(where.port), .sin6_addr = in6addr_loopback};
  const bool local = where.host == "localhost";
  const bool is_four = ::inet_pton(AF_INET, where.host.c_str(), &four.sin_addr) == 1;
  const auto bare = where.host.starts_with('[') ? where.host.substr(1, where.host.size() - 2) : where.host;
  const bool is_six = ::inet_pton(AF_INET6, bare.c_str(), &six.sin6_addr) == 1;
  const auto is_fine = [](int status) { return status > 0 && status < 500; };
  return ((local || is_four) && is_fine(ask(reinterpret_cast<const sockaddr*>(&four), sizeof four, where))) ||
         ((local || is_six) && is_fine(ask(reinterpret_cast<const sockaddr*>(&six), sizeof six, where)));
}

}  // namespace

Result<ReadyCondition> parse_ready(std::string_view text) {
  const auto wrong = [] {
    return fail(ErrorCode::usage,
                "expected tcp:PORT, tcp:any:PORT, http://localhost:PORT/PATH or http+any://..., PORT from 1 to 65535");
  };
  ReadyCondition condition;
  const auto take = [&](std::string_view prefix) {
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
  };
  if (take("tcp:")) {
    condition.any = take("any:");
    const auto port = port_of(text);
    if (!port) return wrong();
    condition.port = *port;
    return condition;
  }
  condition.is_http = true;
  condition.any = take("http+any://");
  if (!condition.any && !take("http://")) return wrong();
  const auto slash = std::min(text.find('/'), text.size());
  const std::string_view authority = text.substr(0, slash);
  if (slash < text.size()) condition.target = text.substr(slash);
  const auto bracket = authority.rfind(']');
  const auto colon = authority.rfind(':');
  const bool has_port = colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  condition.host = authority.substr(0, has_port ? colon : authority.size());
  const auto port = has_port ? port_of(authority.substr(colon + 1)) : std::optional<std::uint16_t>(80);
  sockaddr_in6 room{};
  const auto bare = condition.host.starts_with('[') && condition.host.ends_with(']')
                        ? condition.host.substr(1, condition.host.size() - 2)
                        : condition.host;
  const bool is_address = condition.host == "localhost" || ::inet_pton(AF_INET, bare.c_str(), &room.sin6_addr) == 1 ||
                          ::inet_pton(AF_INET6, bare.c_str(), &room.sin6_addr) == 1;
  if (!port || !is_address || condition.target.find_first_of(" \r\n") != std::string::npos) return wrong();
  condition.port = *port;
  return condition;
}

std::vector<Listener> listeners_on(std::uint16_t port, std::int64_t pid) {
  std::vector<Listener> found;
  for (const char* const table : {"tcp", "tcp6"}) {
    read_table(fmt::format("/proc/self/net/{}", table), port, found);
    if (pid > 0) read_table(fmt::format("/proc/{}/net/{}", pid, table), port, found);
  }
  return found;
}

ReadyCheck::ReadyCheck(ReadyCondition condition, bool owned)
    : condition_(std::move(condition)), owned_(owned), before_(listeners_on(condition_.port)) {}

void ReadyCheck::watch(TaskManager& manager, TaskId id, bool is_new) {
  manager_ = &manager;
  id_ = {std::move(id)};
  is_new_ = is_new;
}

Result<bool> ReadyCheck::is_listening() {
  auto task = manager_->get(id_.front());
  if (!task) return std::unexpected(task.error());
  auto found = listeners_on(condition_.port, task->process.pid);
  if (found.empty()) {
    before_.clear();
    return false;
  }
  if (condition_.any) return true;
  auto tree = manager_->processes(id_.front());
  if (!tree) return std::unexpected(tree.error());
  std::unordered_set<std::uint64_t> sockets;
  for (const auto pid : tree->pids) add_sockets(pid, sockets);
  if (std::ranges::any_of(found, [&](const Listener& one) { return sockets.contains(one.inode); })) return true;
  Listener& foreign = found.front();
  foreign.pid = owner_of(foreign.inode);
  const auto look = look_at_process(foreign.pid);
  const bool was_before = std::ranges::find(before_, foreign.inode, &Listener::inode) != before_.end() &&
                          (is_new_ || (look && start_time_ms(look->start_ticks) < ms_of(task->started_at)));
  if (was_before || owned_)
    return fail(ErrorCode::task_launch_failed,
                fmt::format("port {} {} {}, not to {}: stop that, or use another port", condition_.port,
                            was_before ? "belonged already to" : "belongs to", described(foreign), id_.front().str()));
  note_ = fmt::format("port {} is served by {}, outside the processes of {}", condition_.port, described(foreign),
                      id_.front().str());
  if (tree->unread > 0) note_ += fmt::format("; {} processes could not be looked at", tree->unread);
  return true;
}

Result<bool> ReadyCheck::look() {
  auto listening = is_listening();
  if (!listening || !*listening || !condition_.is_http) return listening;
  return answers(condition_);
}

std::string address_in_use(const TaskManager& manager, const TaskId& id) {
  const auto shown = manager.output_snapshot(id, kTailForReason);
  if (!shown) return "";
  std::istringstream lines(shown->preview);
  std::string line, found;
  while (std::getline(lines, line)) {
    std::string lower = line;
    std::ranges::transform(lower, lower.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (lower.contains("address already in use") || lower.contains("eaddrinuse") ||
        (lower.contains("port") && lower.contains("already in use")))
      found = line;
  }
  return found;
}

}  // namespace perdure::conditions
