#include "mcp/json_edit.h"

#include "base/error.h"
#include "base/try.h"
#include "mcp/json_tree.h"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace perdure::mcp {
namespace {

namespace json = boost::json;

// How the file is written.
struct Style {
  std::string step = "  ";
  std::string line_end = "\n";
};

// The blanks at the start of the line that `at` is on.
std::string indent_at(std::string_view text, std::size_t at) {
  std::size_t begin = at == 0 ? 0 : text.rfind('\n', at - 1) + 1;
  if (begin == 0 && text.starts_with(kBom)) begin = kBom.size();
  const std::size_t end = std::min(text.find_first_not_of(" \t", begin), text.size());
  return std::string(text.substr(begin, end - begin));
}

Style style_of(std::string_view text, const JsonNode& top) {
  Style style;
  if (const auto line = text.find('\n'); line != std::string_view::npos && line > 0 && text[line - 1] == '\r')
    style.line_end = "\r\n";
  if (!top.children.empty()) {
    const std::size_t first = top.children.front().key_begin;
    const std::string indent = indent_at(text, first);
    if (!indent.empty() && text.substr(top.begin, first - top.begin).find('\n') != std::string_view::npos)
      style.step = indent;
  }
  return style;
}

void print(const json::value& value, const Style& style, const std::string& indent, std::string& text) {
  const std::string inner = indent + style.step;
  const auto items = [&](char open, char close, const auto& all, const auto& one) {
    text += open;
    bool is_first = true;
    for (const auto& item : all) {
      text += (is_first ? "" : ",") + style.line_end + inner;
      is_first = false;
      one(item);
    }
    text += style.line_end + indent + close;
  };
  if (const auto* const object = value.if_object(); object != nullptr && !object->empty()) {
    items('{', '}', *object, [&](const auto& member) {
      text += json::serialize(json::string(member.key())) + ": ";
      print(member.value(), style, inner, text);
    });
  } else if (const auto* const array = value.if_array(); array != nullptr && !array->empty()) {
    items('[', ']', *array, [&](const auto& item) { print(item, style, inner, text); });
  } else {
    text += json::serialize(value);
  }
}

// On one line, with a blank behind commas and colons.
std::string on_one_line(const json::value& value) {
  if (const auto* const object = value.if_object(); object != nullptr) {
    std::string text = "{";
    for (const auto& member : *object)
      text +=
          (text == "{" ? "" : ", ") + json::serialize(json::string(member.key())) + ": " + on_one_line(member.value());
    return text + "}";
  }
  if (const auto* const array = value.if_array(); array != nullptr) {
    std::string text = "[";
    for (const auto& item : *array) text += (text == "[" ? "" : ", ") + on_one_line(item);
    return text + "]";
  }
  return json::serialize(value);
}

Result<json::value> parsed(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error) return fail(ErrorCode::config_invalid, error.message());
  return value;
}

bool is_blank(std::string_view text) {
  if (text.starts_with(kBom)) text.remove_prefix(kBom.size());
  return text.find_first_not_of(kBlank) == std::string_view::npos;
}

// Behind the comments that follow on the same line.
std::size_t behind_comments(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (at < text.size()) {
    if (text[at] == ' ' || text[at] == '\t') {
      ++at;
    } else if (text.substr(at, 2) == "//") {
      end = std::min(text.find('\n', at), text.size());
      if (end > 0 && end < text.size() && text[end - 1] == '\r') --end;
      return end;
    } else if (text.substr(at, 2) == "/*") {
      const auto close = text.find("*/", at + 2) + 2;
      if (text.substr(at, close - at).find('\n') != std::string_view::npos) return end;
      at = end = close;
    } else {
      break;
    }
  }
  return end;
}

// Puts a child, `"key": value` or an item, at the end of a container.
Splice added(std::string_view text, const JsonNode& top, const JsonNode& container, const std::string& key,
             const json::value& value) {
  const Style style = style_of(text, top);
  const std::string outer = indent_at(text, container.begin);
  const std::string name = key.empty() ? "" : json::serialize(json::string(key)) + ": ";
  const std::size_t close = container.end - 1;
  const bool is_one_line =
      text.substr(container.begin, container.end - container.begin).find('\n') == std::string_view::npos;
  if (container.children.empty()) {
    // Comments inside stay above what is added.
    const auto last = text.find_last_not_of(kBlank, close - 1);
    const std::size_t at = last + 1;
    std::string inserted = style.line_end + outer + style.step + name;
    print(value, style, outer + style.step, inserted);
    const std::string_view rest = text.substr(at, close - at);
    if (rest.find('\n') != std::string_view::npos) return {at, "", inserted};
    return {at, std::string(rest), inserted + style.line_end + outer};
  }
  const JsonNode& last = container.children.back();
  const std::size_t behind = last.has_comma ? last.comma + 1 : last.end;
  if (is_one_line) return {behind, "", (last.has_comma ? " " : ", ") + name + on_one_line(value)};
  const std::size_t at = behind_comments(text, behind);
  std::string indent = indent_at(text, last.key_begin);
  const bool starts_line =
      text.substr(container.begin, last.key_begin - container.begin).find('\n') != std::string_view::npos;
  if (!starts_line) indent = outer + style.step;
  const std::string between(text.substr(behind, at - behind));
  std::string inserted = (last.has_comma ? "" : ",") + between + style.line_end + indent + name;
  print(value, style, indent, inserted);
  if (last.has_comma) inserted += ',';  // the file's own manner
  if (text.substr(at, close - at).find('\n') == std::string_view::npos) inserted += style.line_end + outer;
  return {behind, between, inserted};
}

// The node at the path, or the deepest one on the way to it; `depth` says how many keys were found.
struct Found {
  const JsonNode* node;
  std::size_t depth;
};

Result<Found> walk(const JsonNode& top, const JsonPath& path) {
  Found found{&top, 0};
  for (const auto& key : path) {
    if (found.node->kind != '{')
      return fail(ErrorCode::config_invalid, fmt::format("expected an object at '{}'", path[found.depth - 1]));
    const auto count = std::ranges::count(found.node->children, key, &JsonNode::key);
    if (count == 0) return found;
    if (count > 1) return fail(ErrorCode::config_invalid, fmt::format("the key '{}' is there twice", key));
    found = {&*std::ranges::find(found.node->children, key, &JsonNode::key), found.depth + 1};
  }
  return found;
}

// The value below the keys of the path from `depth` on.
json::value wrapped(const JsonPath& path, std::size_t depth, json::value value) {
  for (std::size_t i = path.size(); i > depth; --i) value = json::object{{path[i - 1], std::move(value)}};
  return value;
}

Splice whole_file(std::string_view text, const json::value& value) {
  const std::size_t at = text.starts_with(kBom) ? kBom.size() : 0;
  std::string file;
  print(value, Style{}, "", file);
  return {at, std::string(text.substr(at)), file + "\n"};
}

Splice without_child(std::string_view text, const JsonNode& container, std::size_t index) {
  const JsonNode& child = container.children[index];
  std::size_t begin = child.key_begin;
  std::size_t end = child.end;
  if (child.has_comma) {
    end = child.comma + 1;
  } else if (index > 0) {
    begin = container.children[index - 1].comma;
  }
  // With the blanks that are before it, so that no empty line stays.
  const std::size_t last = text.find_last_not_of(kBlank, begin - 1);
  if (last != std::string_view::npos && (child.has_comma || index == 0)) begin = last + 1;
  // A line comment before it must keep its line end.
  const std::size_t line = text.rfind('\n', begin - 1) + 1;
  if (text.substr(line, begin - line).find("//") != std::string_view::npos &&
      text.substr(end, 1).find_first_of("\r\n") == std::string_view::npos)
    begin = child.key_begin;
  return {begin, std::string(text.substr(begin, end - begin)), ""};
}

}  // namespace

std::string spliced(std::string_view text, const Splice& splice) {
  std::string all(text);
  return all.replace(splice.at, splice.removed.size(), splice.inserted);
}

Result<> check_json(std::string_view text) {
  TRY_VOID(parse_json_tree(text));
  return {};
}

Result<std::optional<std::string>> json_value_at(std::string_view text, const JsonPath& path) {
  if (is_blank(text)) return std::nullopt;
  TRY(auto top, parse_json_tree(text));
  TRY(const auto found, walk(top, path));
  if (found.depth != path.size()) return std::nullopt;
  return json::serialize(strict_json(text, *found.node));
}

Result<std::optional<Splice>> set_json_member(std::string_view text, const JsonPath& path, std::string_view value) {
  TRY(auto wanted, parsed(value));
  if (is_blank(text)) return whole_file(text, wrapped(path, 0, wanted));
  TRY(auto top, parse_json_tree(text));
  TRY(const auto found, walk(top, path));
  const JsonNode& node = *found.node;
  if (found.depth == path.size()) {
    if (strict_json(text, node) == wanted) return std::nullopt;
    const bool is_one_line = text.substr(node.begin, node.end - node.begin).find('\n') == std::string_view::npos &&
                             node.kind == '{' && !node.children.empty();
    std::string inserted;
    if (is_one_line) {
      inserted = on_one_line(wanted);
    } else {
      print(wanted, style_of(text, top), indent_at(text, node.key_begin), inserted);
    }
    return Splice{node.begin, std::string(text.substr(node.begin, node.end - node.begin)), inserted};
  }
  if (node.kind != '{')
    return fail(ErrorCode::config_invalid, fmt::format("expected an object at '{}'", path[found.depth - 1]));
  return added(text, top, node, path[found.depth], wrapped(path, found.depth + 1, wanted));
}

Result<std::optional<Splice>> append_json_item(std::string_view text, const JsonPath& path, std::string_view item) {
  TRY(auto wanted, parsed(item));
  if (is_blank(text)) return whole_file(text, wrapped(path, 0, json::array{wanted}));
  TRY(auto top, parse_json_tree(text));
  TRY(const auto found, walk(top, path));
  const JsonNode& node = *found.node;
  if (found.depth == path.size()) {
    if (node.kind != '[') return fail(ErrorCode::config_invalid, fmt::format("expected an array at '{}'", path.back()));
    for (const auto& child : node.children)
      if (strict_json(text, child) == wanted) return std::nullopt;
    return added(text, top, node, "", wanted);
  }
  if (node.kind != '{')
    return fail(ErrorCode::config_invalid, fmt::format("expected an object at '{}'", path[found.depth - 1]));
  return added(text, top, node, path[found.depth], wrapped(path, found.depth + 1, json::array{wanted}));
}

Result<std::optional<Splice>> remove_json_member(std::string_view text, const JsonPath& path) {
  if (is_blank(text)) return std::nullopt;
  TRY(auto top, parse_json_tree(text));
  TRY(const auto found, walk(top, path));
  if (found.depth != path.size()) return std::nullopt;
  const auto above = walk(top, JsonPath(path.begin(), path.end() - 1));
  const auto index = static_cast<std::size_t>(found.node - above->node->children.data());
  return without_child(text, *above->node, index);
}

Result<std::optional<Splice>> remove_json_item(std::string_view text, const JsonPath& path, std::string_view item) {
  TRY(auto wanted, parsed(item));
  if (is_blank(text)) return std::nullopt;
  TRY(auto top, parse_json_tree(text));
  TRY(const auto found, walk(top, path));
  if (found.depth != path.size() || found.node->kind != '[') return std::nullopt;
  for (std::size_t i = 0; i < found.node->children.size(); ++i)
    if (strict_json(text, found.node->children[i]) == wanted) return without_child(text, *found.node, i);
  return std::nullopt;
}

}  // namespace perdure::mcp
