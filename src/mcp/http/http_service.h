#pragma once

#include "http/guard.h"
#include "mcp/http/http_conversation.h"

#include <memory>
#include <mutex>
#include <set>

namespace perdure::mcp {

/// Streamable HTTP of both eras at /mcp. Modern: one POST for each request, and closing its response cancels it.
/// Legacy: conversations identified by Mcp-Session-Id, whose streams can be resumed.
class HttpService final : public http::Service {
 public:
  HttpService(Server& server, http::Guard guard) : server_(server), guard_(std::move(guard)) {}

  [[nodiscard]] std::optional<http::Refusal> refuses(const http::Request& header) const override;
  void answer(http::Exchange& exchange) override;

  /// Cancels all waiting requests; returns when they have ended. Tasks are not affected.
  void end();

 private:
  struct Work;
  using Conversing = std::shared_ptr<HttpConversation>;

  void post(http::Exchange& exchange);
  void post_request(http::Exchange& exchange, jsonrpc::Message message);
  void begin_conversation(http::Exchange& exchange, jsonrpc::Message message);
  void get(http::Exchange& exchange);
  void drop(http::Exchange& exchange);
  /// Answers with an error and returns nothing if the request does not name a known conversation.
  [[nodiscard]] Conversing conversation_of(http::Exchange& exchange);

  void run(http::Exchange& exchange, const std::shared_ptr<Work>& work);
  void stream_answer(http::Exchange& exchange, const std::shared_ptr<Work>& work);
  void perform(Work& work);
  void forget(const Conversing& conversation);

  Server& server_;
  http::Guard guard_;
  HttpConversations conversations_;
  std::mutex mutex_;
  std::set<std::shared_ptr<Work>> working_;
  jsonrpc::Workers workers_{128};
};

}  // namespace perdure::mcp
