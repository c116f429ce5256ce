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
/// Receives the next bytes, waiting for them, and their descriptors. With a SEQPACKET: one message, with its line end.
/// Absent: the other end was closed.
[[nodiscard]] std::optional<RunnerMessage> receive_part(int socket);

/// A connection to the runner of one task (contract/control.h).
class RunnerClient {
 public:
  /// Never blocks. Absent: no process listens there; read runner.lock, then the record. Errors: unresponsive() if the
  /// backlog is full; session_unusable.
  [[nodiscard]] static Result<std::optional<RunnerClient>> connect(const store::Session& session, const TaskId& id);

  /// Sends one line without blocking. False: the runner has exited, or has read nothing for long.
  [[nodiscard]] bool send(std::string_view line);

  /// The next line of the answer. Waits for it up to `patience_ms`; -1: without a limit, for lines that the runner
  /// sends later (the end of its task). Absent: the runner has exited, or is_silent().
  [[nodiscard]] std::optional<std::string> receive(int patience_ms = kAnswerPatienceMs);

  /// The same with the descriptors in the message.
  [[nodiscard]] std::optional<RunnerMessage> receive_message(int patience_ms = kAnswerPatienceMs);

  /// The last receive() timed out: the runner lives and does not answer (L53).
  [[nodiscard]] bool is_silent() const { return is_silent_; }

  static constexpr int kAnswerPatienceMs = 2'000;

  /// Readable when a line has arrived or the runner has exited.
  [[nodiscard]] int fd() const { return socket_.get(); }

 private:
  explicit RunnerClient(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
  bool is_silent_ = false;
  std::string pending_;
  std::vector<Fd> pending_files_;
};

/// The error of a request that its runner did not answer in time (L53).
[[nodiscard]] std::unexpected<Error> unresponsive(const TaskId& id);

/// A reason as the runner expects it: ASCII, escaped as in JSON, no line end. Errors: usage if it is too long.
[[nodiscard]] Result<std::string> escaped_reason(const std::string& reason);

}  // namespace perdure::manager
