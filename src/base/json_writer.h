#pragma once

#include <fmt/format.h>

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace perdure {

/// A string as JSON, without the quotes; made valid UTF-8 first.
[[nodiscard]] std::string json_escaped(std::string_view text);
/// The same with the quotes.
[[nodiscard]] std::string json_quoted(std::string_view text);

/// JSON text that is a complete value.
struct RawJson {
  std::string text;
};

/// One value as JSON text: a string, a number, true or false, null for an absent value, an array of strings.
[[nodiscard]] inline std::string json_of(std::string_view text) {
  return json_quoted(text);
}
[[nodiscard]] inline std::string json_of(const char* text) {
  return json_quoted(text);
}
[[nodiscard]] inline std::string json_of(const RawJson& json) {
  return json.text;
}
template <std::same_as<bool> T>
[[nodiscard]] std::string json_of(T value) {
  return value ? "true" : "false";
}
template <std::integral T>
  requires(!std::same_as<T, bool>)
[[nodiscard]] std::string json_of(T value) {
  return fmt::to_string(value);
}
template <class T>
[[nodiscard]] std::string json_of(const std::optional<T>& value) {
  return value ? json_of(*value) : "null";
}

/// `[...]`, one value after the other.
class JsonArray {
 public:
  JsonArray() = default;
  template <class T>
  explicit JsonArray(const std::vector<T>& values) {
    for (const auto& value : values) add(value);
  }
  template <class T>
  JsonArray& add(const T& value) {
    text_ += (text_.size() > 1 ? "," : "") + json_of(value);
    return *this;
  }
  [[nodiscard]] RawJson json() const { return {text_ + "]"}; }

 private:
  std::string text_ = "[";
};

/// `{...}`, one member after the other, in the order in which they are added.
class JsonObject {
 public:
  JsonObject() = default;
  /// Continues after the last member of a complete object.
  explicit JsonObject(std::string object) : text_(std::move(object)) { text_.pop_back(); }

  template <class T>
  JsonObject& add(std::string_view key, const T& value) {
    text_ += fmt::format("{}{}:{}", text_.size() > 1 ? "," : "", json_quoted(key), json_of(value));
    return *this;
  }
  [[nodiscard]] std::string str() const { return text_ + "}"; }
  [[nodiscard]] RawJson json() const { return {str()}; }

 private:
  std::string text_ = "{";
};

}  // namespace perdure
