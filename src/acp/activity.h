#pragma once

#include "base/fd.h"
#include "jsonrpc/message.h"

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace perdure::acp {

namespace json = jsonrpc::json;

/// What a subagent does, as JSON lines in a file of bounded size (docs/guide/agents.md). Thread-safe; a disk that refuses loses
/// entries and nothing else.
class Activity {
 public:
  static constexpr std::int64_t kMostBytes = 8 << 20;
  static constexpr std::int64_t kMostTalk = 6 << 20;  ///< for what there may be any number of

  explicit Activity(Fd file);

  /// An entry of this type.
  void add(std::string_view type, json::object fields);
  /// One of a type of which there may be any number: left out once there was too much.
  void add_talk(std::string_view type, json::object fields);
  /// A piece of a text that comes in pieces; they are put together.
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

/// A value cut to something that is worth keeping: long texts, deep and large values are shortened.
[[nodiscard]] json::value shortened(const json::value& value, std::size_t most = 2'048);

}  // namespace perdure::acp
