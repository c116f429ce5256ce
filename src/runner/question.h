#pragma once

#include "contract/control.h"
#include "runner/admission/spec.h"
#include "runner/control/control.h"
#include "runner/control/request.h"
#include "runner/record/active.h"
#include "runner/record/lock_page.h"
#include "runner/record/record.h"

#include <type_traits>

namespace runner {

/// A question with a deadline: there is no command, only the deadline and the clients that answer. Call launch() once,
/// then supervise() once.
///
/// The death of this process loses nothing: the answer is a file that appears by a rename; an end by the deadline or by
/// a stop is noted in runner.lock first; an open question stays open without a runner.
class Question {
 public:
  Question(Spec& spec, std::string_view task_id) : spec_(spec), task_id_(task_id) {}

  /// Writes the record and answers. False: it answered with an error, and nothing is left on disk.
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
  void on_request(int client, const request::Bad& wanted);
  void on_request(int client, const request::Wait& wanted);
  void on_request(int client, const request::Waiters& wanted);
  void on_request(int client, const request::Started& wanted);
  void on_request(int client, const request::Release& wanted);
  void on_request(int client, const request::Stop& wanted);
  void on_request(int client, const request::StopOwned& wanted);
  void on_request(int client, const request::Settle& wanted);
  void on_request(int client, const request::Signal& wanted);
  void on_request(int client, const request::Figures& wanted);
  /// Requests that only a command can satisfy.
  template <class Other>
  void on_request(int client, const Other& /*wanted*/) {
    constexpr bool is_no = std::is_same_v<Other, request::Look> || std::is_same_v<Other, request::Detach> ||
                           std::is_same_v<Other, request::EndLeftovers> || std::is_same_v<Other, request::Yield>;
    if (is_no) return control_.answer(client, perdure::contract::kNo);
    control_.answer_result(client, -ENOSYS);
  }
  void withdraw(perdure::contract::Cause cause, std::string_view reason);
  void take_default();
  /// `outcome` must be a string literal.
  void decide(std::string_view outcome);
  void commit();

  Spec& spec_;
  std::string_view task_id_;
  Fd session_, tasks_, folder_, signals_, timer_, epoll_;
  LockPage lock_;
  Active active_;
  Control control_;
  Record record_;
  Facts facts_;
  Text<3600> reason_;
  Phase phase_ = Phase::open;
};

}  // namespace runner
