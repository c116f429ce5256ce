#pragma once

#include "http/exchange.h"
#include "rpc/place/request.h"
#include "web/access/keys.h"

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

namespace perdure::web {

struct Found;

struct Options {
  rpc::Options rpc;
  std::string address = "127.0.0.1";  ///< to listen on
  std::optional<std::string> origin;  ///< of a reverse proxy
  bool read_only = false;
  bool allow_start = false;
  bool metrics_open = false;  ///< /metrics without a token
};

/// Answers requests. Has no state that matters: the server may be killed at any instant. Thread-safe.
class Service final : public http::Service {
 public:
  Service(Options options, Keys keys) : options_(std::move(options)), keys_(std::move(keys)) {}

  [[nodiscard]] std::optional<http::Refusal> refuses(const http::Request& header) const override;
  void answer(http::Exchange& exchange) override;

 private:
  void login(http::Exchange& exchange);
  void call(http::Exchange& exchange, const Found& found, const std::shared_ptr<rpc::Place>& place);
  void send_lines(http::Exchange& exchange, const Found& found, rpc::Place& place);
  void send_log(http::Exchange& exchange, const Found& found, rpc::Place& place);
  void send_download(http::Exchange& exchange, const Found& found, rpc::Place& place) const;
  void tell_download_url(http::Exchange& exchange, const Found& found, rpc::Place& place) const;
  void send_search(http::Exchange& exchange, const Found& found, const std::shared_ptr<rpc::Place>& place);
  void send_events(http::Exchange& exchange);
  void send_metrics(http::Exchange& exchange, rpc::Place& place) const;
  void tell_of_itself(http::Exchange& exchange) const;
  [[nodiscard]] bool has_token(const http::Request& request) const;
  /// False: too many invalid ones came within a minute.
  [[nodiscard]] bool note_wrong_answer_token() const;
  [[nodiscard]] bool is_allowed(const Found& found) const;
  /// The session with that id; "": the server's own. Absent: there is none.
  [[nodiscard]] Result<std::shared_ptr<rpc::Place>> place_of(std::string_view session);

  const Options options_;
  const Keys keys_;
  rpc::Places places_;
  std::atomic<int> searches_ = 0;
  mutable std::deque<std::int64_t> wrong_answer_tokens_;  // when they came, ms since the epoch
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<rpc::Place>> kept_;  // with their configuration and watch, by path
};

/// The id of a session in URLs, which contain no paths.
[[nodiscard]] std::string session_id(const std::string& path);

void respond_json(http::Exchange& exchange, int status, std::string_view body);
/// An error as in RFC 9457.
[[nodiscard]] http::Refusal problem(int status, const rpc::Fault& fault, http::Headers more = {});
void respond_problem(http::Exchange& exchange, int status, const rpc::Fault& fault, http::Headers more = {});

}  // namespace perdure::web
