#include "base/readable.h"

#include "base/utf8.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace perdure {
namespace {

constexpr char kEscape = '\x1b';

bool is_in(char c, unsigned char first, unsigned char last) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= first && byte <= last;
}

// The length of a control sequence whose parameters begin at `at`.
std::size_t end_of_parameters(std::string_view line, std::size_t at) {
  while (at < line.size() && is_in(line[at], 0x20, 0x3F)) ++at;
  return std::min(line.size(), at + 1);
}

// The position after a string that BEL or ESC \ ends. Without an end in this line, the line ends it.
std::size_t end_of_string(std::string_view line, std::size_t at) {
  for (; at < line.size(); ++at) {
    if (line[at] == '\a') return at + 1;
    if (line[at] == kEscape && at + 1 < line.size() && line[at + 1] == '\\') return at + 2;
  }
  return line.size();
}

// The position after the escape sequence that begins at `at` (ECMA-48).
std::size_t end_of_escape(std::string_view line, std::size_t at) {
  if (at + 1 >= line.size()) return line.size();
  switch (line[at + 1]) {
    case '[': return end_of_parameters(line, at + 2);
    case ']':
    case 'P':
    case 'X':
    case '^':
    case '_': return end_of_string(line, at + 2);
    default: break;
  }
  std::size_t end = at + 1;
  while (end < line.size() && is_in(line[end], 0x20, 0x2F)) ++end;
  return std::min(line.size(), end + 1);
}

void remove_last_character(std::string& text) {
  while (!text.empty() && is_in(text.back(), 0x80, 0xBF)) text.pop_back();
  if (!text.empty()) text.pop_back();
}

class LineReader {
 public:
  explicit LineReader(Readable& out) : out_(out) {}

  // One line without its line end, in its last state on a terminal.
  std::string read(std::string_view line) {
    std::string state;
    bool is_redrawn = false;  // there was a carriage return; the following text overwrites the line
    for (std::size_t at = 0; at < line.size();) {
      const char c = line[at];
      if (c == kEscape) {
        out_.lost_escapes = true;
        at = end_of_escape(line, at);
        continue;
      }
      // The same sequences in their 8-bit form, as UTF-8.
      if (c == '\xC2' && at + 1 < line.size() && is_in(line[at + 1], 0x80, 0x9F)) {
        out_.lost_escapes = true;
        at = line[at + 1] == '\x9B' ? end_of_parameters(line, at + 2) : at + 2;
        continue;
      }
      ++at;
      if (c == '\r') {
        is_redrawn = true;
        continue;
      }
      if (is_redrawn && !state.empty()) {
        ++out_.redraws;
        state.clear();
      }
      is_redrawn = false;
      if (c == '\b') {
        remove_last_character(state);
      } else if (c == '\x7F') {
        state += "\xE2\x90\xA1";
      } else if (is_in(c, 0, 0x1F) && c != '\t') {
        state += "\xE2\x90";
        state += static_cast<char>(0x80 + c);
      } else {
        state += c;
      }
    }
    return state;
  }

 private:
  Readable& out_;
};

// Joins lines, counting those that repeat.
class Lines {
 public:
  explicit Lines(Readable& out) : out_(out) {}

  void add(std::string line) {
    if (has_last_ && line == last_) {
      ++again_;
      return;
    }
    flush();
    last_ = std::move(line);
    has_last_ = true;
    out_.text += last_;
    out_.text += '\n';
  }

  void flush() {
    if (again_ == 0) return;
    const std::string note = fmt::format("[the line above {} more time{}]\n", grouped(again_), again_ == 1 ? "" : "s");
    if (note.size() < static_cast<std::size_t>(again_) * (last_.size() + 1)) {
      out_.text += note;
      out_.repeats += again_;
    } else {
      for (; again_ > 0; --again_) out_.text += last_ + '\n';
    }
    again_ = 0;
  }

 private:
  Readable& out_;
  std::string last_;
  bool has_last_ = false;
  std::int64_t again_ = 0;
};

std::string_view trimmed(std::string_view line) {
  constexpr std::string_view kBlanks = " \t\r";
  const auto start = line.find_first_not_of(kBlanks);
  if (start == std::string_view::npos) return {};
  return line.substr(start, line.find_last_not_of(kBlanks) - start + 1);
}

bool contains_any(std::string_view line, auto& patterns) {
  return std::ranges::any_of(patterns, [&](std::string_view pattern) { return line.contains(pattern); });
}

// Lines that summarise, such as "1 failed": used if no line names a cause.
bool is_summary(std::string_view line) {
  constexpr std::array<std::string_view, 16> kSummaries = {"could not compile",
                                                           "aborting due to",
                                                           "BUILD FAILED",
                                                           "build stopped",
                                                           "make: ***",
                                                           "make[",
                                                           "npm ERR!",
                                                           "npm error",
                                                           "Build failed",
                                                           "ELIFECYCLE",
                                                           "exit status",
                                                           "failed to solve",
                                                           "A complete log",
                                                           "Process completed with",
                                                           "did not complete successfully",
                                                           "FAIL\t"};
  return contains_any(line, kSummaries);
}

bool names_cause(std::string_view line) {
  constexpr std::array<std::string_view, 25> kExact = {"FAILED",
                                                       "--- FAIL",
                                                       "FAIL ",
                                                       "panic:",
                                                       "panicked at",
                                                       "Traceback",
                                                       "AssertionError",
                                                       "\xE2\x9C\x97",
                                                       "\xE2\x9C\x95",
                                                       "\xE2\x97\x8F",
                                                       "FATAL",
                                                       "FAILURE:",
                                                       "fatal:",
                                                       "CMake Error",
                                                       "undefined reference",
                                                       "Exception in thread",
                                                       "Exception: ",
                                                       "command not found",
                                                       "Segmentation fault",
                                                       "Permission denied",
                                                       "No such file or directory",
                                                       "cannot find",
                                                       "Killed",
                                                       "not ok ",
                                                       "Out of memory"};
  if (contains_any(line, kExact)) return true;
  // "error:", "Error:", "error[E0308]", "error TS2322", "fatal error:", "TypeError:", in any case of letters.
  std::string lower(line);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (std::size_t at = lower.find("error"); at != std::string::npos; at = lower.find("error", at + 1)) {
    const std::string_view behind = std::string_view(lower).substr(at + 5);
    if (behind.starts_with(':') || behind.starts_with('[') || behind.starts_with(" ts") || behind.starts_with("!") ||
        behind.starts_with(" in ") || behind.starts_with(" at "))
      return true;
  }
  return false;
}

}  // namespace

Readable make_readable(std::string_view bytes) {
  Readable out;
  const std::string valid = is_valid_utf8(bytes) ? std::string() : to_valid_utf8(bytes);
  std::string_view rest = valid.empty() ? bytes : std::string_view(valid);
  out.text.reserve(rest.size());
  LineReader reader(out);
  Lines lines(out);
  bool is_finished = true;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    is_finished = end != std::string_view::npos;
    lines.add(reader.read(rest.substr(0, end)));
    rest.remove_prefix(is_finished ? end + 1 : rest.size());
  }
  lines.flush();
  if (!is_finished && out.text.ends_with('\n')) out.text.pop_back();
  return out;
}

std::string collapsed_words(const Readable& readable) {
  std::string words;
  if (readable.redraws > 0)
    words = fmt::format("{} redraw{}", grouped(readable.redraws), readable.redraws == 1 ? "" : "s");
  if (readable.repeats > 0)
    words += fmt::format("{}{} repeated line{}", words.empty() ? "" : " and ", grouped(readable.repeats),
                         readable.repeats == 1 ? "" : "s");
  return words;
}

std::string_view end_of(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  std::string_view end = text.substr(text.size() - most);
  end.remove_prefix(continuation_prefix(end));
  // A line start, unless that would drop much of the requested length.
  const auto line_end = end.find('\n');
  const bool is_at_line_start = text[text.size() - end.size() - 1] == '\n';
  if (!is_at_line_start && line_end != std::string_view::npos && line_end < most / 4) end.remove_prefix(line_end + 1);
  return end;
}

std::string_view failure_line(std::string_view text) {
  std::string_view summary;
  while (!text.empty()) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    const auto before = text.rfind('\n');
    const auto start = before == std::string_view::npos ? 0 : before + 1;
    const std::string_view line = trimmed(text.substr(start));
    if (is_summary(line)) {
      if (summary.empty()) summary = line;
    } else if (names_cause(line)) {
      return line;
    }
    text = text.substr(0, start);
  }
  return summary;
}

std::string grouped(std::int64_t number) {
  std::string text = fmt::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

std::string ago(std::int64_t ms) {
  const std::int64_t s = ms / 1000;
  if (s < 1) return "now";
  if (s < 120) return fmt::format("{} s ago", s);
  if (s < 7200) return fmt::format("{} min ago", s / 60);
  if (s < 172'800) return fmt::format("{} h ago", s / 3600);
  return fmt::format("{} d ago", s / 86'400);
}

}  // namespace perdure
