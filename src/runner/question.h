#pragma once

#include "runner/admission/spec.h"
#include "runner/control/control.h"
#include "runner/record/lock_page.h"
#include "runner/record/record.h"

namespace runner {

/// A question with a deadline: there is no command, only the deadline and those who answer. launch() once, then
/// supervise() once.
///
/// Nothing is lost with this process: the answer is a file by its rename, an end by the deadline or by a stop is noted in
/// runner.lock first, and a question that is still open when this process is killed goes on without one.
class Question {
 public:
  Question(Spec& spec, std::string_view task_id) : spec_(spec), task_id_(task_id) {}

  /// Writes the record and answers. False: answered with an error, nothing is left.
  [[nodiscard]] bool launch(const char* session, Fd answer);

  /// Returns when the question is closed and its record is committed.
  void supervise();

 private:
  enum class Phase { open, decided, over };
  enum class Source : unsigned { signals = 1, timer, listener, client };
  static std::uint64_t tag(Source source) { return static_cast<std::uint64_t>(source) << 32; }

  int prepare(const char*& doing);
  int watch_everything();
  void on_timer();
  void on_signals();
  void on_client(int client, unsigned events);
  void handle(int client, std::string_view line);
  void settle(int client, std::string_view line);
  void withdraw(perdure::contract::Cause cause, std::string_view reason);
  void take_default();
  /// `outcome` is one of the literals, which stay.
  void decide(std::string_view outcome);
  void commit();

  Spec& spec_;
  std::string_view task_id_;
  Fd session_, tasks_, folder_, signals_, timer_, epoll_;
  LockPage lock_;
  Control control_;
  Record record_;
  Facts facts_;
  Text<3600> reason_;
  Phase phase_ = Phase::open;
};

}  // namespace runner
