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

// What a peer needs besides its transport: the requests received and not answered yet, the requests sent, and threads
// for long requests.
namespace perdure::jsonrpc {

/// Sends messages to the other side. Thread-safe. False: it has disconnected.
class Outlet {
 public:
  virtual ~Outlet() = default;
  virtual bool send(const json::object& message) = 0;
};

/// A flag as a descriptor that becomes readable when it is raised, and stays readable.
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

/// One received request while it is processed.
struct Call {
  enum class Ended { no, cancelled, hung_up };
  Signal stop;  ///< raised when the answer is no longer wanted
  std::atomic<Ended> why = Ended::no;

  void end(Ended reason);
};

/// The requests of one peer in progress, by id. Thread-safe.
class Calls {
 public:
  /// Absent if a call with this id is in progress.
  [[nodiscard]] std::shared_ptr<Call> begin(const json::value& id);
  void finish(const json::value& id);
  /// Unknown ids are ignored: the cancellation may have crossed the answer.
  void cancel(const json::value& id);
  void hang_up();
  [[nodiscard]] std::size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Call>> calls_;
};

/// The `data` of a fault that means that no answer came.
inline constexpr std::string_view kNoAnswer = "no answer came";

/// Requests sent to the other side. Thread-safe.
class Asks {
 public:
  using Answer = std::expected<json::value, Fault>;
  /// Sends and blocks until the answer comes, `stop` is raised, or the time is over; the last two are faults.
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

/// Threads that are started as needed, at most `most`, and joined by the destructor. A job waits for a blocked one only
/// if all threads are blocked.
class Workers {
 public:
  explicit Workers(std::size_t most) : most_(most) {}
  ~Workers() { join(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// False: all threads are busy and the queue is full.
  bool run(std::function<void()> job);
  /// Finishes the running and the queued jobs.
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
