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
  /// Never blocks. Absent: no process listens there; look at runner.lock, then at the record. Errors: unresponsive()
  /// where the queue of connections is full; session_unusable.
  [[nodiscard]] static Result<std::optional<RunnerClient>> connect(const store::Session& session, const TaskId& id);

  /// Sends one line, without blocking. False: the runner has gone, or has not read for long.
  [[nodiscard]] bool send(std::string_view line);

  /// The next line of the answer. Waits for it, `patience_ms` at most; -1: as long as it takes, which is for what a
  /// runner says later (the end of its task). Absent: the runner has gone, or is_silent().
  [[nodiscard]] std::optional<std::string> receive(int patience_ms = kAnswerPatienceMs);

  /// The same with the descriptors that came along.
  [[nodiscard]] std::optional<RunnerMessage> receive_message(int patience_ms = kAnswerPatienceMs);

  /// The last receive() ran out of patience: the runner is there and does not answer (L53).
  [[nodiscard]] bool is_silent() const { return is_silent_; }

  static constexpr int kAnswerPatienceMs = 2'000;

  /// Readable when a line has come or the runner has gone.
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

/// A reason as the runner takes it: ASCII, escaped as in JSON, no line end. Errors: usage where it is too long.
[[nodiscard]] Result<std::string> escaped_reason(const std::string& reason);

}  // namespace perdure::manager
