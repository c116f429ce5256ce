#pragma once

#include "base/words.h"
#include "config/toml.h"
#include <perdure/config.h>

#include <array>
#include <expected>
#include <limits>
#include <string>
#include <utility>
#include <vector>

// How one value is read, checked and shown. A rule has a Type, read(), shown() and takes(): the allowed values as text.
namespace perdure::manager {

/// A value in a file, or the text of an environment variable, which has no types.
struct Given {
  const TomlValue& value;
  bool is_text = false;
};

struct Shown {
  std::string text;
  std::string json;  ///< a number, a truth value or null; "": the text as a string
};

/// The value, or what is wrong with the given one.
template <class T>
using Checked = std::expected<T, std::string>;

struct TruthRule {
  using Type = bool;
  [[nodiscard]] std::string takes() const { return "true or false"; }
  [[nodiscard]] Checked<bool> read(const Given& given) const;
  [[nodiscard]] static Shown shown(bool value);
};

/// A whole number in a range.
struct NumberRule {
  using Type = std::int64_t;
  std::int64_t least, most;
  [[nodiscard]] std::string takes() const;
  [[nodiscard]] Checked<Type> read(const Given& given) const;
  [[nodiscard]] static Shown shown(Type value);
};

/// A duration as a whole number of `unit`, which the key's name contains.
struct CountedTimeRule {
  using Type = std::chrono::milliseconds;
  std::chrono::milliseconds unit;
  NumberRule count;
  [[nodiscard]] std::string takes() const { return count.takes(); }
  [[nodiscard]] Checked<Type> read(const Given& given) const;
  [[nodiscard]] Shown shown(Type value) const { return NumberRule::shown(value / unit); }
};

/// A duration as users write it: "30d", or a number of seconds.
struct DurationRule {
  using Type = std::chrono::milliseconds;
  Type least, most;
  [[nodiscard]] std::string takes() const;
  [[nodiscard]] Checked<Type> read(const Given& given) const;
  [[nodiscard]] static Shown shown(Type value) { return {.text = exact_duration(value), .json = {}}; }
};

/// A size as users write it: "64MiB", or a number of bytes.
struct SizeRule {
  using Type = std::int64_t;
  std::int64_t least;
  [[nodiscard]] std::string takes() const;
  [[nodiscard]] Checked<Type> read(const Given& given) const;
  [[nodiscard]] static Shown shown(Type value);
};

/// Text that is not empty.
struct TextRule {
  using Type = std::string;
  [[nodiscard]] std::string takes() const { return "text"; }
  [[nodiscard]] Checked<Type> read(const Given& given) const;
  [[nodiscard]] static Shown shown(const Type& value) { return {.text = value, .json = {}}; }
};

/// An absolute path; "~/" is the home folder.
struct PathRule {
  using Type = std::string;
  [[nodiscard]] std::string takes() const { return "an absolute path, or one that begins with ~/"; }
  [[nodiscard]] Checked<Type> read(const Given& given) const;
  [[nodiscard]] static Shown shown(const Type& value) { return {.text = value, .json = {}}; }
};

/// Any number of them: an array, or in a variable with `:` between.
struct PathsRule {
  using Type = std::vector<std::string>;
  [[nodiscard]] std::string takes() const {
    return "an array of absolute paths, or paths that begin with ~/; in the variable with `:` between";
  }
  [[nodiscard]] Checked<Type> read(const Given& given) const;
  [[nodiscard]] static Shown shown(const Type& value);
};

/// "ctrl-X" or "none".
struct KeysRule {
  using Type = std::string;
  [[nodiscard]] std::string takes() const {
    return R"("ctrl-X" with a letter but C and Z, or one of @ [ \ ] ^ _, for X; or "none")";
  }
  [[nodiscard]] Checked<Type> read(const Given& given) const;
  [[nodiscard]] static Shown shown(const Type& value) { return {.text = value, .json = {}}; }
};

/// The text of a value that must be a string; else what is wrong.
[[nodiscard]] Checked<std::string> read_text(const Given& given);
[[nodiscard]] std::unexpected<std::string> not_allowed(const Given& given, const std::string& takes);

/// One of several words.
template <class T, std::size_t N>
struct WordRule {
  using Type = T;
  std::array<std::pair<std::string_view, T>, N> words;

  [[nodiscard]] std::string takes() const {
    std::string all;
    for (std::size_t i = 0; i < N; ++i)
      all += (i == 0 ? "\"" : i + 1 == N ? " or \"" : ", \"") + std::string(words[i].first) + "\"";
    return all;
  }
  [[nodiscard]] Checked<T> read(const Given& given) const {
    const auto text = read_text(given);
    if (text)
      for (const auto& [word, value] : words)
        if (word == *text) return value;
    return not_allowed(given, takes());
  }
  [[nodiscard]] Shown shown(const T& value) const {
    for (const auto& [word, known] : words)
      if (known == value) return {.text = std::string(word), .json = {}};
    std::unreachable();
  }
};

/// The same as another rule, or "none".
template <class Rule>
struct OrNone {
  using Type = std::optional<typename Rule::Type>;
  Rule rule;

  [[nodiscard]] std::string takes() const { return rule.takes() + ", or \"none\""; }
  [[nodiscard]] Checked<Type> read(const Given& given) const {
    if (const auto* text = std::get_if<std::string>(&given.value.content); text != nullptr && *text == "none")
      return Type();
    auto value = rule.read(given);
    if (!value) return not_allowed(given, takes());
    return Type(std::move(*value));
  }
  [[nodiscard]] Shown shown(const Type& value) const {
    return value ? rule.shown(*value) : Shown{.text = "none", .json = "null"};
  }
};

}  // namespace perdure::manager
