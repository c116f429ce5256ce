#pragma once

#include "runner/os/fd.h"

#include <string_view>

namespace runner {

/// tasks/<id>/control: requests of one line each (contract/control.h), and the clients that wait for the end.
///
/// Needs no memory per connection: a line stays in the socket's own buffer until it is complete.
class Control {
 public:
  Control() = default;
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
  ~Control();

  /// Binds and listens. 0 or -errno.
  [[nodiscard]] int open(int task_folder);
  [[nodiscard]] int listener() const { return listener_.get(); }

  /// Accepts connections of this user and adds them to `epoll` with `tag` | fd.
  void accept(int epoll, unsigned long long tag);

  /// True when there was no descriptor or memory for a client: then the caller must call listen_again() later.
  [[nodiscard]] bool is_paused() const { return paused_; }
  void listen_again();

  /// The next complete line of a connection, without its end. False: none yet, or the connection was closed.
  [[nodiscard]] bool next_line(int client, std::string_view& line);
  void answer(int client, std::string_view line) { answer(client, line, nullptr, 0); }
  /// With duplicates of the descriptors; the caller keeps its own.
  void answer(int client, std::string_view line, const int* fds, int count);
  /// "ok", or "error ERRNO" for -errno.
  void answer_result(int client, int e);

  /// What a connection waits for, besides answers to requests.
  enum Awaits : unsigned char { awaits_end = 2, awaits_release = 4, awaits_start = 8 };
  /// `inside`: the id of the task inside which the client runs, or "".
  void add_waiter(int client, Awaits what, std::string_view inside = {});
  void tell(Awaits whom, std::string_view line) { tell(whom, line, nullptr, 0); }
  void tell(Awaits whom, std::string_view line, const int* fds, int count);
  /// Answers "waiters" and the tasks whose processes wait for the end.
  void answer_waiters(int client);
  void close_client(int client);
  /// Forgets a connection; the caller closes the descriptor.
  void forget(int client);
  /// The client closed its sending half or the connection: an incomplete line stays incomplete. A client that waits may
  /// still read from the other half.
  void hung_up(int client, bool wholly);

  /// Removes the socket: later clients find the record instead.
  void unlink(int task_folder);

 private:
  Fd listener_;
  bool paused_ = false;  // no descriptor was left for more clients
  int epoll_ = -1;
  unsigned long long listener_tag_ = 0;
  [[nodiscard]] int most();
  [[nodiscard]] bool make_room(int client);
  unsigned char* flags_ = nullptr;  // by descriptor: kClient, and what the client waits for
  char** insides_ = nullptr;        // by descriptor: the id that came with `wait`, if any
  int room_ = 0;
  int most_ = 0;  // the highest descriptor that a client may have; 0: not asked for yet

 public:
  void set_listener_tag(int epoll, unsigned long long tag) {
    epoll_ = epoll;
    listener_tag_ = tag;
  }
};

}  // namespace runner
