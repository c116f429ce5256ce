#pragma once

#include <perdure/error.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace perdure::web {

/// Links that log a browser in once, and the tokens for which they are exchanged. A key in a file verifies both, so
/// that they stay valid when the server is restarted, and a link can be made without the server (V40).
class Keys {
 public:
  /// The key is in `folder`; it is made if it is missing. Errors: as of http::load_or_make_token().
  [[nodiscard]] static Result<Keys> open(const std::string& folder);

  /// Valid for 10 minutes, and once.
  [[nodiscard]] std::string make_link_token() const;
  /// False: it is invalid, expired, or was used before. If two clients use it at once, one gets false.
  [[nodiscard]] Result<bool> spend(std::string_view link_token) const;

  /// For a browser that has logged in: valid for 30 days.
  [[nodiscard]] std::string make_session_token() const;
  [[nodiscard]] bool is_session_token(std::string_view token) const;

  /// For the URL of one download, which a browser opens without a header of ours: valid for 30 s, and once.
  [[nodiscard]] std::string make_download_token(std::string_view session, std::string_view task) const;
  [[nodiscard]] bool is_download_token(std::string_view token, std::string_view session, std::string_view task) const;
  /// False: it is wrong, too old, or was used before.
  [[nodiscard]] Result<bool> spend_download(std::string_view token, std::string_view session,
                                            std::string_view task) const;

  /// For a link to one question: valid for 30 days, and for that question only (V43). Once the question is answered, the
  /// token has no effect.
  [[nodiscard]] std::string make_answer_token(std::string_view session, std::string_view question) const;
  [[nodiscard]] bool is_answer_token(std::string_view token, std::string_view session, std::string_view question) const;

  /// For programs: the content of the file `web-token` in the folder.
  [[nodiscard]] bool is_program_token(std::string_view token) const;

 private:
  Keys(std::string folder, std::string key, std::string program_token)
      : folder_(std::move(folder)), key_(std::move(key)), program_token_(std::move(program_token)) {}
  [[nodiscard]] Result<bool> spend(std::string_view purpose, std::string_view token) const;
  [[nodiscard]] std::string make(std::string_view purpose, std::int64_t valid_ms) const;
  [[nodiscard]] bool is_valid(std::string_view purpose, std::string_view token) const;

  std::string folder_, key_, program_token_;
};

}  // namespace perdure::web
