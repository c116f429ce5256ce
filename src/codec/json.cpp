#include "codec/json.h"

#include "base/utf8.h"
#include "codec/record.h"
#include "codec/unescape.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <unordered_set>

namespace perdure::codec {
namespace {

constexpr std::array<std::string_view, 7> kTypeNames = {"a string", "an integer", "a number", "a boolean",
                                                        "null",     "an object",  "an array"};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  Result<std::vector<Member>> object() {
    std::vector<Member> members;
    members.reserve(24);
    blanks();
    if (!take('{')) return wrong("is not a JSON object");
    blanks();
    if (!take('}')) {
      do {
        blanks();
        Member member;
        const std::size_t key_at = at_;
        if (!string()) return wrong("a key in quotes was expected");
        member.key = text_.substr(key_at + 1, at_ - key_at - 2);
        blanks();
        if (!take(':')) return wrong("':' was expected");
        blanks();
        const std::size_t value_at = at_;
        if (!value(2, member.type)) return wrong(problem_);
        member.raw = text_.substr(value_at, at_ - value_at);
        members.push_back(member);
        blanks();
      } while (take(','));
      if (!take('}')) return wrong("',' or '}' was expected");
    }
    blanks();
    if (at_ != text_.size()) return wrong("something follows the object");
    return members;
  }

  Result<std::vector<Member>> array() {
    std::vector<Member> values;
    blanks();
    if (!take('[')) return wrong("is not a JSON array");
    blanks();
    if (!take(']')) {
      do {
        blanks();
        Member item;
        const std::size_t value_at = at_;
        if (!value(2, item.type)) return wrong(problem_);
        item.raw = text_.substr(value_at, at_ - value_at);
        values.push_back(item);
        blanks();
      } while (take(','));
      if (!take(']')) return wrong("',' or ']' was expected");
    }
    blanks();
    if (at_ != text_.size()) return wrong("something follows the array");
    return values;
  }

 private:
  [[nodiscard]] std::unexpected<Error> wrong(std::string_view what) const {
    return fail(ErrorCode::record_invalid, fmt::format("is not JSON: {} at byte {}", what, at_));
  }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }

  bool value(std::size_t depth, JsonType& type) {
    switch (peek()) {
      case '"': type = JsonType::string; return string();
      case '{': type = JsonType::object; return container(depth, '}');
      case '[': type = JsonType::array; return container(depth, ']');
      case 't': type = JsonType::boolean; return word("true");
      case 'f': type = JsonType::boolean; return word("false");
      case 'n': type = JsonType::null; return word("null");
      default: return number(type);
    }
  }

  bool word(std::string_view expected) {
    if (!text_.substr(at_).starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }

  bool container(std::size_t depth, char end) {
    if (depth > kMaxDepth) {
      problem_ = "more than 32 levels";
      return false;
    }
    ++at_;
    blanks();
    if (take(end)) return true;
    do {
      blanks();
      if (end == '}') {
        if (!string()) return false;
        blanks();
        if (!take(':')) return false;
        blanks();
      }
      JsonType ignored{};
      if (!value(depth + 1, ignored)) return false;
      blanks();
    } while (take(','));
    return take(end);
  }

  bool string() {
    if (!take('"')) return false;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c == '\\' && !escape()) return false;
    }
    return false;
  }

  bool escape() {
    const char c = peek();
    ++at_;
    if (c != 'u') return c != '\0' && std::string_view("\"\\/bfnrt").contains(c);
    for (int i = 0; i < 4; ++i, ++at_) {
      const char h = peek();
      if (!is_digit(h) && !(h >= 'a' && h <= 'f') && !(h >= 'A' && h <= 'F')) return false;
    }
    return true;
  }

  bool digits() {
    const std::size_t before = at_;
    while (is_digit(peek())) ++at_;
    return at_ > before;
  }

  bool number(JsonType& type) {
    type = JsonType::integer;
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.')) {
      type = JsonType::number;
      if (!digits()) return false;
    }
    if (peek() == 'e' || peek() == 'E') {
      type = JsonType::number;
      ++at_;
      if (!take('+')) take('-');
      if (!digits()) return false;
    }
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string_view problem_ = "no value is written like this";
};

std::string plain(std::string_view key) {
  return key.contains('\\') ? unescape(key) : std::string(key);
}

// An escaped spelling of a key is the same key, so it must not hide a duplicate.
std::optional<std::string> repeated_key(const std::vector<Member>& members) {
  constexpr std::size_t kFew = 48;  // comparing so many in pairs costs less than any container
  const bool escaped = std::ranges::any_of(members, [](const Member& m) { return m.key.contains('\\'); });
  if (members.size() <= kFew && !escaped) {
    for (std::size_t i = 1; i < members.size(); ++i)
      for (std::size_t k = 0; k < i; ++k)
        if (members[i].key == members[k].key) return std::string(members[i].key);
    return std::nullopt;
  }
  std::unordered_set<std::string> seen;
  for (const auto& member : members)
    if (!seen.insert(plain(member.key)).second) return plain(member.key);
  return std::nullopt;
}

}  // namespace

std::string_view name_of(JsonType type) {
  return kTypeNames.at(static_cast<std::size_t>(type));
}

Result<std::vector<Member>> split_object(std::string_view text) {
  if (!is_valid_utf8(text)) return fail(ErrorCode::record_invalid, "is not UTF-8");
  auto members = Scanner(text).object();
  if (!members) return members;
  if (const auto twice = repeated_key(*members)) return fail(ErrorCode::record_invalid, *twice + ": is there twice");
  return members;
}

Result<std::vector<Member>> split_array(std::string_view text) {
  if (!is_valid_utf8(text)) return fail(ErrorCode::record_invalid, "is not UTF-8");
  return Scanner(text).array();
}

std::optional<std::int64_t> integer_of(const Member& member) {
  std::int64_t value = 0;
  const char* const end = member.raw.data() + member.raw.size();
  const auto [stopped, error] = std::from_chars(member.raw.data(), end, value);
  if (member.type != JsonType::integer || error != std::errc() || stopped != end) return std::nullopt;
  return value;
}

std::optional<double> number_of(const Member& member) {
  if (member.type != JsonType::integer && member.type != JsonType::number) return std::nullopt;
  double value = 0;
  const auto error = std::from_chars(member.raw.data(), member.raw.data() + member.raw.size(), value).ec;
  if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<std::vector<std::string>> strings_of(const Member& member) {
  if (member.type != JsonType::array) return std::nullopt;
  std::vector<std::string> texts;
  std::string_view rest = member.raw.substr(1, member.raw.size() - 2);
  while (true) {
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(", \t\r\n")));
    if (rest.empty()) return texts;
    if (rest.front() != '"') return std::nullopt;
    std::size_t end = 1;
    while (rest[end] != '"') end += rest[end] == '\\' ? 2U : 1U;  // validated before: there is a quote
    texts.push_back(string_of({.raw = rest.substr(0, end + 1), .type = JsonType::string}));
    rest.remove_prefix(end + 1);
  }
}

std::string string_of(const Member& member) {
  const std::string_view text = member.between_quotes();
  return text.contains('\\') ? unescape(text) : std::string(text);
}

}  // namespace perdure::codec
