#pragma once

#include "runner/os/fd.h"

#include <string_view>

namespace runner {

/// tasks/<id>/control: requests of one line each (contract/control.h), and those who wait for the end.
///
/// No memory per connection: a line is looked at in the socket's own buffer until it is whole.
class Control {
 public:
  Control() = default;
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
  ~Control();

  /// Binds and listens. 0 or -errno.
  [[nodiscard]] int open(int task_folder);
  [[nodiscard]] int listener() const { return listener_.get(); }

  /// Takes new connections of this user and puts them into `epoll` with `tag` | fd.
  void accept(int epoll, unsigned long long tag);

  /// True after there was no descriptor or memory for a client: then listen_again() is wanted, and nobody else tells.
  [[nodiscard]] bool is_paused() const { return paused_; }
  void listen_again();

  /// The next whole line of a connection, without its end. False: none yet, or the connection is closed now.
  [[nodiscard]] bool next_line(int client, std::string_view& line);
  void answer(int client, std::string_view line) { answer(client, line, nullptr, 0); }
  /// With copies of descriptors, which stay the caller's.
  void answer(int client, std::string_view line, const int* fds, int count);
  /// "ok", or "error ERRNO" for -errno.
  void answer_result(int client, int e);

  /// What a connection waits for, besides answers.
  enum Awaits : unsigned char { awaits_end = 2, awaits_release = 4, awaits_start = 8 };
  /// `inside`: the id of the task that the one who waits runs in, or "".
  void add_waiter(int client, Awaits what, std::string_view inside = {});
  void tell(Awaits whom, std::string_view line) { tell(whom, line, nullptr, 0); }
  void tell(Awaits whom, std::string_view line, const int* fds, int count);
  /// "waiters", and the tasks whose processes wait for the end.
  void answer_waiters(int client);
  void close_client(int client);
  /// Not a connection any more; the descriptor is the caller's to close.
  void forget(int client);
  /// The other end has closed its sending half, or wholly: what it left of a line will never be whole. Whoever waits may
  /// still listen with the other half.
  void hung_up(int client, bool wholly);

  /// Takes the name away: whoever comes now finds the record.
  void unlink(int task_folder);

 private:
  Fd listener_;
  bool paused_ = false;  // no descriptor left for more clients
  int epoll_ = -1;
  unsigned long long listener_tag_ = 0;
  [[nodiscard]] bool make_room(int client);
  unsigned char* flags_ = nullptr;  // by descriptor: kClient, and what it awaits
  char** insides_ = nullptr;        // by descriptor: the id that came with `wait`, rarely any
  int room_ = 0;
  int most_ = INT32_MAX;  // the highest descriptor that a client may have

 public:
  void set_listener_tag(int epoll, unsigned long long tag) {
    epoll_ = epoll;
    listener_tag_ = tag;
  }
};

}  // namespace runner
