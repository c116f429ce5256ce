#include "acp/protocol/wire.h"

#include "base/utf8.h"

#include <charconv>
#include <string>

namespace perdure::acp {
namespace {

namespace json = jsonrpc::json;

constexpr std::size_t kMaxDepth = 256;  // input and output of tools may be nested at will
constexpr std::size_t kEscape = 6;      // \uXXXX

std::optional<json::value> parsed(std::string_view line) {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  boost::system::error_code error;
  json::value value = json::parse(line, error, {}, options);
  if (error) return std::nullopt;
  return value;
}

// The code unit of the escape at the start of `text`; 0 if there is none.
unsigned escaped_unit(std::string_view text) {
  if (text.size() < kEscape || !text.starts_with("\\u")) return 0;
  unsigned unit = 0;
  const char* const end = text.data() + kEscape;
  return std::from_chars(text.data() + 2, end, unit, 16).ptr == end ? unit : 0;
}

bool is_high(unsigned unit) {
  return unit >= 0xD800 && unit < 0xDC00;
}

bool is_low(unsigned unit) {
  return unit >= 0xDC00 && unit < 0xE000;
}

// Programs that count in UTF-16 may cut a text within a character, as in a message that comes in pieces, and write the
// half as an escape, which JSON parsers refuse.
std::string without_halves(std::string_view text) {
  std::string whole;
  whole.reserve(text.size());
  while (!text.empty()) {
    const auto plain = text.substr(0, text.find('\\'));
    whole += plain;
    text.remove_prefix(plain.size());
    const unsigned unit = escaped_unit(text);
    std::size_t taken = unit == 0 ? 2 : kEscape;  // an escaped backslash does not begin an escape
    if (is_high(unit) && text.size() > kEscape && is_low(escaped_unit(text.substr(kEscape)))) taken = 2 * kEscape;
    const bool is_half = taken == kEscape && (is_high(unit) || is_low(unit));
    taken = std::min(taken, text.size());
    whole += is_half ? std::string_view("\\ufffd") : text.substr(0, taken);
    text.remove_prefix(taken);
  }
  return whole;
}

}  // namespace

std::optional<jsonrpc::Message> read_line(std::string_view line) {
  auto value = parsed(line);
  if (!value) value = parsed(without_halves(to_valid_utf8(line)));
  if (!value) return std::nullopt;
  if (auto* const object = value->if_object(); object != nullptr && object->contains("method"))
    if (const auto* const params = object->if_contains("params"); params != nullptr && !params->is_object())
      object->erase("params");
  auto message = jsonrpc::read_message(std::move(*value));
  if (!message) return std::nullopt;
  return std::move(*message);
}

}  // namespace perdure::acp
