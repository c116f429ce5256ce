#include "base/words.h"
#include "web/routes/routes.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::web {
namespace {

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) -> int {
      if (at >= text.size()) return -1;
      const char c = text[at];
      if (c >= '0' && c <= '9') return c - '0';
      const char lower = static_cast<char>(c | 0x20);
      return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
    };
    if (text[i] == '%' && digit(i + 1) >= 0 && digit(i + 2) >= 0) {
      out += static_cast<char>(digit(i + 1) * 16 + digit(i + 2));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::unexpected<rpc::Fault> wrong(std::string_view name, std::string_view expected, std::string_view got) {
  return std::unexpected(rpc::Fault{jsonrpc::kInvalidParams,
                                    fmt::format("Invalid params: {}: expected {}, got '{}'", name, expected, got)});
}

std::expected<json::value, rpc::Fault> value_of(const rpc::Field& field, const std::string& text) {
  if (field.type == "integer") {
    const auto number = parse_integer(text, INT64_MIN, INT64_MAX);
    if (!number) return wrong(field.name, "an integer", text);
    return json::value(*number);
  }
  if (field.type == "boolean") {
    if (text != "true" && text != "false") return wrong(field.name, "true or false", text);
    return json::value(text == "true");
  }
  if (field.type != "string[]") return json::value(std::string_view(text));
  json::array items;
  for (std::string_view left = text; !left.empty();) {
    const auto comma = left.find(',');
    items.emplace_back(left.substr(0, comma));
    left.remove_prefix(comma == std::string_view::npos ? left.size() : comma + 1);
  }
  return items;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> query_of(std::string_view target) {
  std::vector<std::pair<std::string, std::string>> query;
  const auto mark = target.find('?');
  if (mark == std::string_view::npos) return query;
  target.remove_prefix(mark + 1);
  while (!target.empty()) {
    const auto end = target.find('&');
    const std::string_view one = target.substr(0, end);
    const auto equals = one.find('=');
    if (!one.empty())
      query.emplace_back(decoded(one.substr(0, equals)),
                         equals == std::string_view::npos ? "" : decoded(one.substr(equals + 1)));
    target.remove_prefix(end == std::string_view::npos ? target.size() : end + 1);
  }
  return query;
}

std::expected<json::object, rpc::Fault> params_of_query(std::string_view target, std::span<const rpc::Field> fields) {
  const auto shapes = rpc::all_shapes();
  const auto filter = std::ranges::find(shapes, std::string_view("Filter"), &rpc::Shape::name);
  const bool has_filter = std::ranges::count(fields, std::string_view("Filter"), &rpc::Field::type) > 0;
  json::object params, wanted;
  for (const auto& [name, text] : query_of(target)) {
    const std::string_view known = name == "q" ? std::string_view("text") : std::string_view(name);
    if (const auto field = std::ranges::find(fields, known, &rpc::Field::name); field != fields.end()) {
      auto value = value_of(*field, text);
      if (!value) return std::unexpected(value.error());
      params[known] = std::move(*value);
    } else if (const auto member = std::ranges::find(filter->fields, known, &rpc::Field::name);
               has_filter && member != filter->fields.end()) {
      auto value = value_of(*member, text);
      if (!value) return std::unexpected(value.error());
      wanted[known] = std::move(*value);
    }
  }
  if (!wanted.empty()) params["filter"] = std::move(wanted);
  return params;
}

}  // namespace perdure::web
