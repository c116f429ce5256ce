#pragma once

#include "runner/fd.h"

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
  void answer(int client, std::string_view line);
  void add_waiter(int client);
  void tell_waiters();
  void close_client(int client);
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
  unsigned char* flags_ = nullptr;  // by descriptor: a client, a client that waits
  int room_ = 0;
  int most_ = INT32_MAX;  // the highest descriptor that a client may have

 public:
  void set_listener_tag(int epoll, unsigned long long tag) {
    epoll_ = epoll;
    listener_tag_ = tag;
  }
};

}  // namespace runner
