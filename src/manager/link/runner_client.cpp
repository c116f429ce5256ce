#include "manager/link/runner_client.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/json_writer.h"
#include "codec/ascii.h"
#include "contract/control.h"
#include "contract/names.h"
#include "contract/output_marker.h"
#include "store/ownership.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

namespace perdure::manager {
Result<std::optional<RunnerClient>> RunnerClient::connect(const store::Session& session, const TaskId& id) {
  const std::string path = session.folder_path(id) + "/" + contract::kControlSocket;
  auto folder = session.open_folder(id);
  if (!folder) {
    if (folder.error().os_error == ENOENT) return std::nullopt;
    return std::unexpected(folder.error());
  }
  if (!store::is_own(folder->get())) return std::nullopt;  // other users' sessions are only read (L50)
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno("connecting to", path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // Through the folder's descriptor: a socket address has room for 107 bytes only.
  const std::string name = fmt::format("/proc/self/fd/{}/{}", folder->get(), contract::kControlSocket);
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return unresponsive(id);
    if (errno == ENOENT || errno == ECONNREFUSED || errno == ECONNRESET) return std::nullopt;
    return fail_errno("connecting to", path);
  }
  return RunnerClient(std::move(socket));
}

bool RunnerClient::send(std::string_view line) {
  std::string text(line);
  text += '\n';
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t n = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::optional<std::string> RunnerClient::receive(int patience_ms) {
  auto message = receive_message(patience_ms);
  if (!message) return std::nullopt;
  return std::move(message->line);
}

// A runner sends files only with the last line on a connection.
std::optional<RunnerMessage> RunnerClient::receive_message(int patience_ms) {
  const std::int64_t until = steady_ms() + patience_ms;
  is_silent_ = false;
  while (!pending_.contains('\n')) {
    pollfd answered{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    const std::int64_t left = patience_ms < 0 ? -1 : std::max<std::int64_t>(0, until - steady_ms());
    const int n = ::poll(&answered, 1, static_cast<int>(left));
    if (n < 0 && errno == EINTR) continue;
    is_silent_ = n == 0;
    if (n <= 0) return std::nullopt;
    auto part = receive_part(socket_.get());
    if (!part) return std::nullopt;
    pending_ += part->line;
    std::ranges::move(part->files, std::back_inserter(pending_files_));
  }
  const auto end = pending_.find('\n');
  RunnerMessage message{.line = pending_.substr(0, end), .files = {}};
  pending_.erase(0, end + 1);
  if (pending_.empty()) message.files = std::exchange(pending_files_, {});
  return message;
}

std::optional<RunnerMessage> receive_part(int socket) {
  while (true) {
    char text[2048];
    alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int) * (contract::kMostSegments + 2))];
    iovec part{.iov_base = text, .iov_len = sizeof text};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = room;
    header.msg_controllen = sizeof room;
    const ssize_t n = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::nullopt;
    RunnerMessage message{.line = std::string(text, static_cast<std::size_t>(n)), .files = {}};
    for (cmsghdr* head = CMSG_FIRSTHDR(&header); head != nullptr; head = CMSG_NXTHDR(&header, head)) {
      if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
      const std::size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof fd);
        message.files.emplace_back(fd);
      }
    }
    return message;
  }
}

std::unexpected<Error> unresponsive(const TaskId& id) {
  return fail_os(EAGAIN, "asking", fmt::format("the runner of {}, which does not answer", id.str()));
}

Result<std::string> escaped_reason(const std::string& reason) {
  // A blank reason counts as none (L13).
  if (reason.find_first_not_of(" \t\r\n") == std::string::npos) return std::string();
  std::string text = codec::in_ascii(json_escaped(reason));
  if (text.size() > static_cast<std::size_t>(contract::kMaxReasonBytes))
    return fail(ErrorCode::usage, fmt::format("the reason is too long: {} bytes when escaped, at most {}", text.size(),
                                              contract::kMaxReasonBytes));
  return text;
}

}  // namespace perdure::manager
