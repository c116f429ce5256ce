#pragma once

#include "far/child.h"
#include <perdure/executor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// One conversation with a shell at the place where tasks run: over ssh, or over a transport of the user's.
namespace perdure::far {

/// Why a conversation failed, in Error::details["far"].
inline constexpr const char* kUnreachable = "unreachable";  // no connection, or it was cut
inline constexpr const char* kRefused = "refused";          // the login was: no use in trying again
inline constexpr const char* kReplaced = "replaced";        // another machine answers by that name

[[nodiscard]] std::unexpected<Error> far_failure(std::string_view why, std::string message);
[[nodiscard]] bool is_far_failure(const Error& error, std::string_view why);

/// The place by a name that people know: "gpu1", or the words of the transport.
[[nodiscard]] std::string place_of(const ExecutorDefinition& executor);

/// For sh, quoted where that is needed.
[[nodiscard]] std::string for_shell(std::string_view word);

/// For sh: a path in which a leading "~/" is the home folder there.
[[nodiscard]] std::string path_for_shell(std::string_view path);

struct ChannelOptions {
  std::int64_t until = -1;     ///< steady clock: for the whole conversation; -1: no limit
  int cancel_fd = -1;          ///< readable: give up
  bool may_be_master = false;  ///< may leave a connection behind that others share, as the user's ssh is configured
};

/// Runs `body`, lines of sh, in a function `main` at the place: all of it is read before any of it runs, so what is sent
/// later is for what it starts. It talks to us by `say WORDS`. Login scripts may print what they want.
class Channel {
 public:
  [[nodiscard]] static Result<Channel> open(const ExecutorDefinition& executor, std::string_view body,
                                            const ChannelOptions& options);

  /// The next line that `say` prints, without its mark; everything before it is skipped. Errors: far_failure.
  [[nodiscard]] Result<std::string> hear();

  /// What was printed since: up to a line's end, without it. Errors: far_failure.
  [[nodiscard]] Result<std::string> line();
  [[nodiscard]] Result<std::string> bytes(std::size_t count);
  /// The rest, up to the end.
  [[nodiscard]] Result<std::string> rest();

  [[nodiscard]] Result<> send(std::string_view bytes);
  void end_input() { child_.close_input(); }
  [[nodiscard]] Fd take_input() { return child_.take_input(); }

  /// Waits for the end. The exit status there; 255 and above: of ssh itself.
  [[nodiscard]] Result<int> finish();
  [[nodiscard]] const std::string& error_text() const { return errors_; }

  /// To be waited for besides; readable: more can be read.
  [[nodiscard]] int output_fd() const { return child_.output(); }
  [[nodiscard]] bool has_more() const { return !buffer_.empty(); }
  void limit(std::int64_t until) { options_.until = until; }

 private:
  Channel(Child child, std::string mark, std::string place, ChannelOptions options)
      : child_(std::move(child)), mark_(std::move(mark)), place_(std::move(place)), options_(options) {}
  /// Reads more of both streams. False: the output has ended.
  Result<bool> read_more();
  std::unexpected<Error> cut();

  Child child_;
  std::string mark_, place_;
  ChannelOptions options_;
  std::string buffer_, errors_;
  bool output_ended_ = false, errors_ended_ = false, was_heard_ = false;
};

}  // namespace perdure::far
