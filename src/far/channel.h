#pragma once

#include "far/child.h"
#include <perdure/executor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// A conversation with a shell on another host: over ssh, or over a transport that the user configured.
namespace perdure::far {

/// Why a conversation failed, in Error::details["far"].
inline constexpr const char* kUnreachable = "unreachable";  // there is no connection, or it was lost
inline constexpr const char* kRefused = "refused";          // the login was refused: trying again is useless
inline constexpr const char* kReplaced = "replaced";        // another machine answers by that name

[[nodiscard]] std::unexpected<Error> far_failure(std::string_view why, std::string message);
[[nodiscard]] bool is_far_failure(const Error& error, std::string_view why);

/// The host by its configured name ("gpu1"), or the words of the transport.
[[nodiscard]] std::string place_of(const ExecutorDefinition& executor);

/// For sh, quoted if needed.
[[nodiscard]] std::string for_shell(std::string_view word);

/// For sh: a path in which a leading "~/" is the home folder on that host.
[[nodiscard]] std::string path_for_shell(std::string_view path);

struct ChannelOptions {
  std::int64_t until = -1;     ///< steady clock: limit of the whole conversation; -1: none
  int cancel_fd = -1;          ///< readable: cancel
  bool may_be_master = false;  ///< may leave a shared master connection behind, as the user's ssh is configured
};

/// Runs `body`, lines of sh, in a function `main` on the host: it is read as a whole before any of it runs, so that
/// later bytes go to the programs that it starts. It sends lines to this process by `say WORDS`. Login scripts may
/// print anything.
class Channel {
 public:
  [[nodiscard]] static Result<Channel> open(const ExecutorDefinition& executor, std::string_view body,
                                            const ChannelOptions& options);

  /// The next line printed by `say`, without its mark; output before it is skipped. Errors: far_failure.
  [[nodiscard]] Result<std::string> hear();

  /// The following output, up to a line's end, without it. Errors: far_failure.
  [[nodiscard]] Result<std::string> line();
  [[nodiscard]] Result<std::string> bytes(std::size_t count);
  /// The rest, up to the end.
  [[nodiscard]] Result<std::string> rest();

  [[nodiscard]] Result<> send(std::string_view bytes);
  void end_input() { child_.close_input(); }
  [[nodiscard]] Fd take_input() { return child_.take_input(); }

  /// Waits for the end. The exit status on the host; 255 and above: of ssh itself.
  [[nodiscard]] Result<int> finish();
  [[nodiscard]] const std::string& error_text() const { return errors_; }

  /// For poll(): readable when there is more output.
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
