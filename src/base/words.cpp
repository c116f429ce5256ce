#include "base/words.h"

#include "base/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

namespace perdure {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};
constexpr std::array<Unit, 6> kTimes = {{{"", 1e3}, {"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}}};
constexpr std::array<Unit, 10> kSizes = {{{"", 1},
                                          {"B", 1},
                                          {"K", 1024},
                                          {"KiB", 1024},
                                          {"M", 1048576},
                                          {"MiB", 1048576},
                                          {"G", 1073741824},
                                          {"GiB", 1073741824},
                                          {"T", 1099511627776},
                                          {"TiB", 1099511627776}}};

template <std::size_t N>
std::optional<std::int64_t> parse_amount(std::string_view text, const std::array<Unit, N>& units) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || value < 0 || !std::isfinite(value)) return std::nullopt;
  const std::string_view name(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const auto& unit : units)
    if (unit.name == name) {
      const double amount = value * unit.factor;
      if (amount > 9e15) return std::nullopt;
      return static_cast<std::int64_t>(std::llround(amount));
    }
  return std::nullopt;
}

// The largest unit of which it is a whole number.
template <std::size_t N>
std::string in_whole_units(std::int64_t amount, const std::array<Unit, N>& units) {
  std::string text = fmt::to_string(amount);
  for (const auto& unit : units) {
    const auto factor = static_cast<std::int64_t>(unit.factor);
    if (!unit.name.empty() && factor > 0 && amount % factor == 0 && amount >= factor)
      text = fmt::format("{}{}", amount / factor, unit.name);
  }
  return text;
}

}  // namespace

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  if (const auto ms = parse_amount(text, kTimes)) return std::chrono::milliseconds(*ms);
  return fail(ErrorCode::usage,
              fmt::format("'{}' is not a duration: write 500ms, 30s, 5m or 2h; a bare number is seconds", text));
}

Result<std::int64_t> parse_size(std::string_view text) {
  if (const auto bytes = parse_amount(text, kSizes)) return *bytes;
  return fail(ErrorCode::usage,
              fmt::format("'{}' is not a size: write 64KiB, 16MiB or 1GiB; a bare number is bytes", text));
}

Result<std::int64_t> parse_integer(std::string_view text, std::int64_t least, std::int64_t most) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= least && value <= most) return value;
  return fail(ErrorCode::usage, fmt::format("'{}' is not a whole number from {} to {}", text, least, most));
}

std::string exact_duration(std::chrono::milliseconds duration) {
  return duration.count() == 0 ? "0" : in_whole_units(duration.count(), kTimes);
}

std::string exact_size(std::int64_t bytes) {
  return in_whole_units(bytes, kSizes);
}

std::string size_text(std::int64_t bytes) {
  constexpr std::array<std::string_view, 5> kNames = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kNames.size(); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kNames.at(unit));
}

std::string shell_word(std::string_view word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,@%+";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) return std::string(word);
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string nearest_word(std::string_view typed, const std::vector<std::string_view>& words) {
  const auto distance = [](std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i);
      for (std::size_t k = 1; k <= b.size(); ++k) {
        const std::size_t changed = diagonal + (a[i - 1] == b[k - 1] ? 0 : 1);
        diagonal = row[k];
        row[k] = std::min({row[k] + 1, row[k - 1] + 1, changed});
      }
    }
    return row[b.size()];
  };
  std::string nearest;
  std::size_t best = 3;  // with more than two changes it is another word
  for (const auto word : words)
    if (const std::size_t d = distance(typed.substr(0, 40), word); d < best) {
      best = d;
      nearest = word;
    }
  return nearest;
}

std::string_view id_in_reference(std::string_view text) {
  for (const std::string_view scheme : {"task://", "task:"})
    if (text.starts_with(scheme)) {
      text.remove_prefix(scheme.size());
      return text.substr(0, text.find_first_of("/:"));
    }
  return text.starts_with('@') ? text : text.substr(0, text.find('@'));
}

}  // namespace perdure
