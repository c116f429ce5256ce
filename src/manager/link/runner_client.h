#pragma once

#include "base/error.h"
#include "base/fd.h"
#include "store/session.h"

#include <optional>
#include <string>
#include <vector>

namespace perdure::manager {

struct RunnerMessage {
  std::string line;
  std::vector<Fd> files;
};
/// What has come, with the descriptors that came along, waiting for it: one message of a SEQPACKET, with its line's end.
/// Absent: the other end has gone.
[[nodiscard]] std::optional<RunnerMessage> receive_part(int socket);

/// A connection to the runner of one task (contract/control.h).
class RunnerClient {
 public:
  /// Absent: nobody listens there; look at runner.lock, then at the record.
  [[nodiscard]] static Result<std::optional<RunnerClient>> connect(const store::Session& session, const TaskId& id);

  /// Sends one line. False: the runner has gone.
  [[nodiscard]] bool send(std::string_view line);

  /// The next line of the answer, waiting for it. Absent: the runner has gone.
  [[nodiscard]] std::optional<std::string> receive();

  /// The same with the descriptors that came along.
  [[nodiscard]] std::optional<RunnerMessage> receive_message();

  /// Readable when a line has come or the runner has gone.
  [[nodiscard]] int fd() const { return socket_.get(); }

 private:
  explicit RunnerClient(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
  std::string pending_;
  std::vector<Fd> pending_files_;
};

/// A reason as the runner takes it: ASCII, escaped as in JSON, no line end. Errors: usage where it is too long.
[[nodiscard]] Result<std::string> escaped_reason(const std::string& reason);

}  // namespace perdure::manager
