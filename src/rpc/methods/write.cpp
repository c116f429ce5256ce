#include "base/base64.h"
#include "base/error.h"
#include "base/fd.h"
#include "rpc/methods/methods.h"
#include "rpc/methods/streams.h"

#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <climits>

// task.write
namespace perdure::rpc {
namespace {

Error no_reader(const TaskId& id) {
  return {.code = ErrorCode::task_not_running,
          .message = fmt::format("the command of {} reads no more: it has ended, or has closed its input", id.str())};
}

}  // namespace

std::optional<std::string> data_of(const Request& request) {
  std::string data = request.text("data").value_or("");
  if (request.text("encoding") != "base64") return data;
  return bytes_of_base64(data);
}

Result<bool> write_all_to(int input, std::string_view bytes, const TaskId& id, const jsonrpc::Call& call,
                          std::int64_t& written) {
  while (!bytes.empty()) {
    pollfd look[] = {{.fd = input, .events = POLLOUT, .revents = 0},
                     {.fd = call.stop.fd(), .events = POLLIN, .revents = 0}};
    if (::poll(look, 2, -1) < 0 && errno != EINTR) return fail_errno("writing to", id.str());
    if (look[0].revents == 0) {
      if (look[1].revents != 0) return false;
      continue;
    }
    // No more than a pipe surely takes: the descriptor may be a blocking one.
    const ssize_t n = ::write(input, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return std::unexpected(no_reader(id));
    bytes.remove_prefix(static_cast<std::size_t>(n));
    written += n;
  }
  return true;
}

Fault fault_of_write(const Error& error, std::int64_t written) {
  auto fault = fault_of(error);
  fault.data.as_object()["details"].as_object()["written"] = std::to_string(written);
  return fault;
}

namespace {

// Typed once, however often it comes (V50).
Reply write_once(Request& request, const TaskId& id, std::string_view data, const std::string& write_id) {
  auto written = request.manager().write_once(id, data, write_id, request.is_true("eof"),
                                              Cancellation::when_readable(request.call.stop.fd()));
  if (!written) return failed(written.error());
  if (*written < static_cast<std::int64_t>(data.size()))
    return refused(fmt::format("cancelled after {} bytes", *written));
  return json::object{{"bytes", *written}};
}

Reply write(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  const auto data = data_of(request);
  if (!data) return refused("data: expected base64");
  if (const auto write_id = request.text("writeId")) return write_once(request, *id, *data, *write_id);
  std::int64_t written = 0;
  if (!data->empty()) {
    auto opened = request.manager().open_input(*id);
    if (!opened) return failed(opened.error());
    const Fd input(opened->release());
    auto whole = write_all_to(input.get(), *data, *id, request.call, written);
    if (!whole) return std::unexpected(fault_of_write(whole.error(), written));
    if (!*whole) return refused(fmt::format("cancelled after {} bytes", written));
  }
  if (request.is_true("eof"))
    if (auto closed = request.manager().close_input(*id); !closed) return failed(closed.error());
  return json::object{{"bytes", written}};
}

constexpr Field kWriteParams[] = {
    {"id", "string", "exact id of a task", true},
    {"data", "string", "", true},
    {"encoding", "utf8|base64", "of data (default: utf8)"},
    {"eof", "boolean", "close the input afterwards"},
    {"writeId", "string",
     "a name for this write, 1 to 256 bytes: repeated with the same name and data it is typed once, also by another "
     "server. The task's runner remembers the latest 128. Not for tasks that run elsewhere"},
};
constexpr Field kWriteResult[] = {
    {"bytes", "integer", "how many were written, by this call or by the one it repeats", true}};

constexpr Method kWriteMethods[] = {
    {.name = "task.write",
     .help = "Writes to a task's input. Waits while the command does not read.",
     .writes = true,
     .repeat = Repeat::with_write_id,
     .params = kWriteParams,
     .result = kWriteResult,
     .handle = write},
};

}  // namespace

std::span<const Method> write_methods() {
  return kWriteMethods;
}

}  // namespace perdure::rpc
