#include "mcp/json_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace perdure::mcp {
namespace {

namespace json = boost::json;

constexpr int kDeepest = 64;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<JsonNode> parse() {
    if (text_.starts_with(kBom)) at_ = kBom.size();
    if (!skip()) return fault();
    if (at_ >= text_.size() || text_[at_] != '{') {
      expected_ = "an object";
      return fault();
    }
    JsonNode top;
    if (!value(top, 0) || !skip()) return fault();
    if (at_ != text_.size()) {
      expected_ = "the end of the file";
      return fault();
    }
    return top;
  }

 private:
  bool wrong(std::string_view expected) {
    expected_ = expected;
    return false;
  }

  [[nodiscard]] std::unexpected<Error> fault() const {
    const std::string_view before = text_.substr(0, std::min(at_, text_.size()));
    const auto line = std::ranges::count(before, '\n') + 1;
    const std::size_t column = before.size() - (before.rfind('\n') + 1) + 1;
    return fail(ErrorCode::config_invalid, fmt::format("line {}, column {}: expected {}", line, column, expected_));
  }

  // Blanks and comments.
  bool skip() {
    while (at_ < text_.size()) {
      if (kBlank.find(text_[at_]) != std::string_view::npos) {
        ++at_;
      } else if (text_.substr(at_, 2) == "//") {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (text_.substr(at_, 2) == "/*") {
        const auto end = text_.find("*/", at_ + 2);
        if (end == std::string_view::npos) return wrong("the end of a comment");
        at_ = end + 2;
      } else {
        break;
      }
    }
    return true;
  }

  bool string(std::string& decoded) {
    const std::size_t begin = at_;
    if (at_ >= text_.size() || text_[at_] != '"') return wrong("a string");
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
      if (at_ < text_.size() && static_cast<unsigned char>(text_[at_]) < 0x20) return wrong("the end of a string");
    }
    if (at_ >= text_.size()) return wrong("the end of a string");
    ++at_;
    boost::system::error_code error;
    const json::value value = json::parse(text_.substr(begin, at_ - begin), error);
    if (error || !value.is_string()) {
      at_ = begin;
      return wrong("a string of valid UTF-8");
    }
    decoded = value.get_string();
    return true;
  }

  bool scalar() {
    const std::size_t begin = at_;
    std::string ignored;
    if (text_[at_] == '"') return string(ignored);
    at_ = std::min(text_.find_first_of(" \t\r\n,]}/", at_), text_.size());
    boost::system::error_code error;
    const json::value value = json::parse(text_.substr(begin, at_ - begin), error);
    if (!error) return true;
    at_ = begin;
    return wrong("a value");
  }

  bool value(JsonNode& node, int depth) {
    if (depth > kDeepest) return wrong("fewer levels");
    if (at_ >= text_.size()) return wrong("a value");
    node.begin = at_;
    if (node.key_begin == 0) node.key_begin = at_;
    if (text_[at_] == '{' || text_[at_] == '[') {
      node.kind = text_[at_];
      ++at_;
      if (!children(node, depth)) return false;
    } else {
      node.kind = 's';
      if (!scalar()) return false;
    }
    node.end = at_;
    return true;
  }

  bool children(JsonNode& node, int depth) {
    const char close = node.kind == '{' ? '}' : ']';
    while (true) {
      if (!skip()) return false;
      if (at_ < text_.size() && text_[at_] == close) {
        ++at_;
        return true;
      }
      if (!node.children.empty() && !node.children.back().has_comma)
        return wrong(node.kind == '{' ? "',' or '}'" : "',' or ']'");
      JsonNode child;
      child.key_begin = at_;
      if (node.kind == '{') {
        if (!string(child.key) || !skip()) return false;
        if (at_ >= text_.size() || text_[at_] != ':') return wrong("':'");
        ++at_;
        if (!skip()) return false;
      }
      if (!value(child, depth + 1) || !skip()) return false;
      if (at_ < text_.size() && text_[at_] == ',') {
        child.has_comma = true;
        child.comma = at_++;
      }
      node.children.push_back(std::move(child));
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string_view expected_;
};

}  // namespace

Result<JsonNode> parse_json_tree(std::string_view text) {
  return Parser(text).parse();
}

json::value strict_json(std::string_view text, const JsonNode& node) {
  if (node.kind == '{') {
    json::object object;
    for (const auto& child : node.children) object[child.key] = strict_json(text, child);
    return object;
  }
  if (node.kind == '[') {
    json::array array;
    for (const auto& child : node.children) array.push_back(strict_json(text, child));
    return array;
  }
  boost::system::error_code error;
  return json::parse(text.substr(node.begin, node.end - node.begin), error);
}

}  // namespace perdure::mcp
