#pragma once

#include "base/fd.h"
#include "jsonrpc/message.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

// What any peer needs beside its transport: what the other side asked for and is not answered yet, what we asked it,
// and threads for what may take long.
namespace perdure::jsonrpc {

/// Takes messages to the other side. Thread-safe. False: it has gone.
class Outlet {
 public:
  virtual ~Outlet() = default;
  virtual bool send(const json::object& message) = 0;
};

/// A flag that can be waited for: a descriptor that becomes readable, and stays so.
class Signal {
 public:
  Signal();
  void raise();
  [[nodiscard]] bool is_raised() const { return raised_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  Fd fd_;
  std::atomic<bool> raised_ = false;
};

/// One request of the other side while it is worked on.
struct Call {
  enum class Ended { no, cancelled, hung_up };
  Signal stop;  ///< raised when nobody waits for the answer any more
  std::atomic<Ended> why = Ended::no;

  void end(Ended reason);
};

/// The requests of one peer that are being worked on, by id. Thread-safe.
class Calls {
 public:
  /// Nothing when a call with this id is being worked on.
  [[nodiscard]] std::shared_ptr<Call> begin(const json::value& id);
  void finish(const json::value& id);
  /// Unknown ids are ignored: the answer may have crossed the wish.
  void cancel(const json::value& id);
  void hang_up();
  [[nodiscard]] std::size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Call>> calls_;
};

/// The `data` of a fault that says that there was no answer.
inline constexpr std::string_view kNoAnswer = "no answer came";

/// Requests to the other side. Thread-safe.
class Asks {
 public:
  using Answer = std::expected<json::value, Fault>;
  /// Sends and blocks until there is an answer, `stop` is raised, or the time has passed; both are faults.
  [[nodiscard]] Answer ask(Outlet& outlet, std::string_view method, json::object params, const Signal& stop,
                           std::chrono::milliseconds patience);
  /// Unknown ids are ignored.
  void settle(Message response);

 private:
  struct Open {
    Signal answered;
    Answer answer = std::unexpected(Fault{kInternalError, "no answer"});
  };
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Open>> open_;
  std::int64_t last_id_ = 0;
};

/// Threads that are made when they are needed, at most `most`, and joined at the end. Nothing waits behind
/// something that blocks unless all of them do.
class Workers {
 public:
  explicit Workers(std::size_t most) : most_(most) {}
  ~Workers() { join(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// False: all threads are busy and as many jobs wait.
  bool run(std::function<void()> job);
  /// Finishes what is being done and what waits.
  void join();

 private:
  void work();

  std::size_t most_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool closing_ = false;
};

}  // namespace perdure::jsonrpc
