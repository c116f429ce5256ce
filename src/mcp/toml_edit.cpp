#include "mcp/toml_edit.h"

#include "base/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace perdure::mcp {
namespace {

// A header or a `key = value`, as a range of the file.
struct Statement {
  bool is_header = false;
  std::vector<std::string> keys;
  std::size_t begin = 0, end = 0;  // `end`: after a comment on the same line, before the line end
};

// Splits a file into statements. It recognizes strings, comments and brackets, so that a line inside a value is never
// taken for a header; invalid TOML is left to the parser that checks the result.
class Statements {
 public:
  explicit Statements(std::string_view text) : text_(text) {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
  }

  std::optional<Statement> next() {
    skip_blank();
    if (at_ >= text_.size()) return std::nullopt;
    Statement one{.is_header = text_[at_] == '[', .keys = {}, .begin = at_, .end = 0};
    while (one.is_header && at_ < text_.size() && text_[at_] == '[') ++at_;
    read_keys(one.keys);
    // The rest of a statement: after the header, or the value, over several lines if it has brackets or long strings.
    int depth = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n' && depth <= 0) break;
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
        continue;
      }
      if (c == '"' || c == '\'') {
        skip_string(c);
        continue;
      }
      if (!one.is_header) depth += (c == '[' || c == '{') ? 1 : (c == ']' || c == '}') ? -1 : 0;
      ++at_;
    }
    one.end = at_;
    if (one.end > one.begin && text_[one.end - 1] == '\r') --one.end;
    return one;
  }

 private:
  void skip_blank() {
    while (at_ < text_.size()) {
      if (std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) {
        ++at_;
      } else if (text_[at_] == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else {
        return;
      }
    }
  }

  void skip_string(char quote) {
    const std::string three(3, quote);
    if (text_.substr(at_, 3) == three) {
      at_ += 3;
      while (at_ < text_.size() && text_.substr(at_, 3) != three) at_ += quote == '"' && text_[at_] == '\\' ? 2U : 1U;
      at_ = std::min(at_ + 3, text_.size());
      while (at_ < text_.size() && text_[at_] == quote) ++at_;  // """" contains a quote before the closing ones
      return;
    }
    for (++at_; at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n'; ++at_)
      if (quote == '"' && text_[at_] == '\\') ++at_;
    if (at_ < text_.size() && text_[at_] == quote) ++at_;
  }

  void read_keys(std::vector<std::string>& keys) {
    while (at_ < text_.size()) {
      at_ = std::min(text_.find_first_not_of(" \t.", at_), text_.size());
      if (at_ >= text_.size() || text_[at_] == '=' || text_[at_] == ']' || text_[at_] == '\n' || text_[at_] == '\r')
        return;
      const std::size_t begin = at_;
      if (text_[at_] == '"' || text_[at_] == '\'') {
        skip_string(text_[at_]);
        keys.emplace_back(text_.substr(begin + 1, at_ > begin + 1 ? at_ - begin - 2 : 0));
      } else {
        at_ = std::min(text_.find_first_of(" \t.=]\r\n", at_), text_.size());
        keys.emplace_back(text_.substr(begin, at_ - begin));
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

bool starts_with(const std::vector<std::string>& keys, const std::string& group, const std::string& name) {
  return keys.size() >= 2 && keys[0] == group && keys[1] == name;
}

}  // namespace

Result<std::optional<Splice>> find_toml_table(std::string_view text, const std::string& group,
                                              const std::string& name) {
  std::optional<Splice> found;
  std::size_t end = 0;
  bool is_ours = false;
  std::vector<std::string> table;
  Statements statements(text);
  while (const auto one = statements.next()) {
    if (one->is_header) {
      table = one->keys;
      const bool was_ours = is_ours;
      is_ours = starts_with(table, group, name);
      if (is_ours && !was_ours) {
        if (found)
          return fail(ErrorCode::config_invalid,
                      fmt::format("[{}.{}] is there in several places; merge them by hand", group, name));
        found = Splice{one->begin, "", ""};
      }
    } else {
      std::vector<std::string> keys = table;
      keys.insert(keys.end(), one->keys.begin(), one->keys.end());
      const bool is_inline_group = table.empty() && one->keys.size() == 1 && one->keys.front() == group;
      if (!is_ours && (starts_with(keys, group, name) || is_inline_group))
        return fail(ErrorCode::config_invalid, fmt::format("{} is not written as the table [{}.{}]; change it by hand",
                                                           fmt::join(keys, "."), group, name));
    }
    if (is_ours) end = one->end;
  }
  if (found) found->removed = text.substr(found->at, end - found->at);
  return found;
}

Result<std::optional<Splice>> set_toml_table(std::string_view text, const std::string& group, const std::string& name,
                                             std::string_view table) {
  auto older = find_toml_table(text, group, name);
  if (!older) return std::unexpected(older.error());
  const auto first_line = text.find('\n');
  const bool is_crlf = first_line != std::string_view::npos && first_line > 0 && text[first_line - 1] == '\r';
  const std::string line_end = is_crlf ? "\r\n" : "\n";
  std::string wanted;
  for (const char c : table) {
    if (c == '\n') {
      wanted += line_end;
    } else {
      wanted += c;
    }
  }
  if (*older) {
    wanted.resize(wanted.size() - line_end.size());
    if ((*older)->removed == wanted) return std::nullopt;
    (*older)->inserted = wanted;
    return older;
  }
  std::string before;
  if (!text.empty() && !text.ends_with('\n')) before += line_end;
  if (!text.empty() && !text.ends_with("\n\n") && !text.ends_with("\n\r\n")) before += line_end;
  return Splice{text.size(), "", before + wanted};
}

}  // namespace perdure::mcp
