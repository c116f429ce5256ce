#pragma once

#include <charconv>
#include <string_view>

namespace runner {

/// Text in a buffer of fixed size. Text that does not fit is cut off, and whole() becomes false.
template <unsigned N>
class Text {
 public:
  Text& operator<<(std::string_view s) {
    for (const char c : s) {
      if (used_ == N - 1) {
        whole_ = false;
        break;
      }
      bytes_[used_++] = c;
    }
    bytes_[used_] = '\0';
    return *this;
  }
  Text& operator<<(long number) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    return *this << std::string_view(digits, static_cast<unsigned long>(end - digits));
  }
  [[nodiscard]] const char* c_str() const { return bytes_; }
  [[nodiscard]] std::string_view view() const { return {bytes_, used_}; }
  [[nodiscard]] bool whole() const { return whole_; }
  void clear() {
    used_ = 0;
    whole_ = true;
    bytes_[0] = '\0';
  }

 private:
  char bytes_[N] = {};
  unsigned used_ = 0;
  bool whole_ = true;
};

/// Parts of a text. substr() throws, and the runner is built without exceptions.
constexpr std::string_view first(std::string_view s, unsigned long n) {
  return {s.data(), n < s.size() ? n : s.size()};
}
constexpr std::string_view behind(std::string_view s, unsigned long n) {
  s.remove_prefix(n < s.size() ? n : s.size());
  return s;
}

/// A number at the start of `s`, which is advanced past it and one blank; 0 if there is none.
inline long take_number(std::string_view& s) {
  long value = 0;
  const auto end = std::from_chars(s.data(), s.data() + s.size(), value).ptr;
  s.remove_prefix(static_cast<unsigned long>(end - s.data()));
  if (!s.empty() && s.front() == ' ') s.remove_prefix(1);
  return value;
}

/// The text up to the next blank; `s` is advanced past it.
inline std::string_view take_word(std::string_view& s) {
  const auto blank = s.find(' ');
  const std::string_view word = first(s, blank);
  s.remove_prefix(blank == std::string_view::npos ? s.size() : blank + 1);
  return word;
}

}  // namespace runner
