#pragma once

#include "base/fd.h"
#include "jsonrpc/message.h"

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace perdure::acp {

namespace json = jsonrpc::json;

/// A subagent's activity as JSON lines in a file of limited size (docs/guide/agents.md). Thread-safe; if the disk
/// refuses, entries are lost and nothing else.
class Activity {
 public:
  static constexpr std::int64_t kMostBytes = 8 << 20;
  static constexpr std::int64_t kMostTalk = 6 << 20;  ///< for entries whose number is not limited

  explicit Activity(Fd file);

  /// Adds an entry of this type.
  void add(std::string_view type, json::object fields);
  /// Adds an entry of a type whose number is not limited: left out once the limit is reached.
  void add_talk(std::string_view type, json::object fields);
  /// Adds a piece of a text that comes in pieces; they are joined.
  void add_text(std::string_view type, std::string_view text);

 private:
  void write(std::string_view type, json::object fields, std::int64_t most);
  void flush();

  Fd file_;
  std::mutex mutex_;
  std::int64_t bytes_ = 0, left_out_ = 0;
  std::string held_type_, held_;
  std::int64_t held_since_ = 0;
};

/// A shortened copy of a value: long texts, deep and large values are cut.
[[nodiscard]] json::value shortened(const json::value& value, std::size_t most = 2'048);

}  // namespace perdure::acp
