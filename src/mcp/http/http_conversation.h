#pragma once

#include "mcp/session/server.h"

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace perdure::mcp {

/// Messages for one stream of server-sent events, kept so that a reader that lost the connection can continue after the
/// last one it received. Thread-safe. Bounded: if no reader takes them, the oldest are dropped.
class EventStream final : public jsonrpc::Outlet {
 public:
  explicit EventStream(std::uint64_t number);

  bool send(const json::object& message) override;
  /// Adds the last message. `delivered` is called once it was written.
  void finish(const json::object& message, std::function<void()> delivered);
  /// Asks the reader to close the connection before the end; it comes back for the rest.
  void ask_to_close();

  /// Readable when take() may have messages, or the stream was closed or taken over.
  [[nodiscard]] int fd() const { return changed_.get(); }

  struct Events {
    std::vector<std::pair<std::uint64_t, std::string>> events;  ///< place, JSON
    bool has_last = false;                                      ///< the last of them ends the stream
    bool shall_close = false;
  };
  /// The messages after `place`.
  [[nodiscard]] Events take(std::uint64_t place);

  /// Registers a new reader. The previous one is woken and stops. Returns the reader's number.
  std::uint64_t attach();
  [[nodiscard]] bool is_attached(std::uint64_t reader) const;
  /// Wakes the new reader again, in case the replaced one has consumed its wake-up.
  void wake_reader();

  /// The place up to which messages were read: the start for a reader that names no place.
  void note_seen(std::uint64_t place);
  [[nodiscard]] std::uint64_t seen() const;

  void note_delivered();
  [[nodiscard]] std::string event_id(std::uint64_t place) const;
  [[nodiscard]] std::uint64_t number() const { return number_; }

 private:
  void add(std::string text);
  void wake();

  const std::uint64_t number_;
  Fd changed_;
  mutable std::mutex mutex_;
  std::deque<std::string> events_;
  std::uint64_t first_ = 1;  // place of events_.front()
  std::size_t bytes_ = 0;
  std::uint64_t reader_ = 0, seen_ = 0;
  bool finished_ = false, close_ = false;
  std::function<void()> delivered_;
};

/// A legacy conversation over HTTP, identified by the header Mcp-Session-Id.
class HttpConversation {
 public:
  explicit HttpConversation(std::string id);

  [[nodiscard]] const std::string& id() const { return id_; }

  /// A stream for the answer to one request.
  [[nodiscard]] std::shared_ptr<EventStream> open_stream();
  /// The stream of an event id, and the place it names. Absent: no longer kept.
  [[nodiscard]] std::pair<std::shared_ptr<EventStream>, std::uint64_t> find(std::string_view event_id);
  void drop(const EventStream& stream);

  std::shared_ptr<EventStream> background;  ///< for messages that belong to no request
  Conversation state;
  jsonrpc::Calls calls;

 private:
  std::string id_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<EventStream>> streams_;
  std::uint64_t last_ = 0;
};

/// All legacy conversations of a server; if there are too many, the one that was idle longest is dropped.
class HttpConversations {
 public:
  [[nodiscard]] std::shared_ptr<HttpConversation> open();
  [[nodiscard]] std::shared_ptr<HttpConversation> find(std::string_view id);
  /// The dropped ones, for the server to forget.
  [[nodiscard]] std::vector<std::shared_ptr<HttpConversation>> take_surplus();
  [[nodiscard]] std::shared_ptr<HttpConversation> take(std::string_view id);
  [[nodiscard]] std::vector<std::shared_ptr<HttpConversation>> take_all();

 private:
  struct Entry {
    std::shared_ptr<HttpConversation> conversation;
    std::uint64_t used = 0;
  };
  std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::uint64_t clock_ = 0;
};

}  // namespace perdure::mcp
