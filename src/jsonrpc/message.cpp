#include "jsonrpc/message.h"

#include <boost/json/basic_parser_impl.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace perdure::jsonrpc {
namespace {

constexpr std::size_t kMaxDepth = 64;

bool is_id(const json::value& value) {
  return value.is_string() || value.is_int64() || value.is_uint64();
}

std::unexpected<Unreadable> refuse(std::string why, json::value id) {
  return std::unexpected(Unreadable{{kInvalidRequest, "Invalid request: " + std::move(why)}, std::move(id)});
}

std::expected<Message, Unreadable> read_response(json::object& object, Message message) {
  message.kind = Message::Kind::response;
  if (auto* const error = object.if_contains("error")) {
    Fault fault{kInternalError, "an error without words"};
    if (const auto* const told = error->if_object()) {
      if (const auto* const code = told->if_contains("code"); code != nullptr && code->is_int64())
        fault.code = static_cast<int>(code->get_int64());
      if (const auto* const text = told->if_contains("message"); text != nullptr && text->is_string())
        fault.message = text->get_string();
      if (const auto* const data = told->if_contains("data")) fault.data = *data;
    }
    message.fault = std::move(fault);
  } else if (auto* const result = object.if_contains("result")) {
    message.result = std::move(*result);
  } else {
    return refuse("it has neither method, result nor error", std::move(message.id));
  }
  return message;
}

// Finds a key that occurs twice in one object: some readers use the first value and others the last.
class KeyCheck {
 public:
  static constexpr std::size_t max_object_size = std::size_t(-1), max_array_size = std::size_t(-1),
                               max_key_size = std::size_t(-1), max_string_size = std::size_t(-1);
  using error_code = boost::system::error_code;
  using string_view = json::string_view;

  [[nodiscard]] const std::optional<std::string>& doubled() const { return doubled_; }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) { return objects_.emplace_back(), true; }
  bool on_object_end(std::size_t, error_code&) { return objects_.pop_back(), true; }
  bool on_array_begin(error_code&) { return true; }
  bool on_array_end(std::size_t, error_code&) { return true; }
  bool on_key_part(string_view part, std::size_t, error_code&) { return key_.append(part), true; }
  bool on_key(string_view part, std::size_t, error_code&) {
    key_.append(part);
    if (!objects_.back().insert(key_).second && !doubled_) doubled_ = key_;
    key_.clear();
    return true;
  }
  bool on_string_part(string_view, std::size_t, error_code&) { return true; }
  bool on_string(string_view, std::size_t, error_code&) { return true; }
  bool on_number_part(string_view, error_code&) { return true; }
  bool on_int64(std::int64_t, string_view, error_code&) { return true; }
  bool on_uint64(std::uint64_t, string_view, error_code&) { return true; }
  bool on_double(double, string_view, error_code&) { return true; }
  bool on_bool(bool, error_code&) { return true; }
  bool on_null(error_code&) { return true; }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }

 private:
  std::vector<std::unordered_set<std::string>> objects_;
  std::string key_;
  std::optional<std::string> doubled_;
};

std::optional<std::string> doubled_key(std::string_view text, const json::parse_options& options) {
  json::basic_parser<KeyCheck> parser(options);
  boost::system::error_code error;
  parser.write_some(false, text.data(), text.size(), error);
  return parser.handler().doubled();
}

}  // namespace

std::expected<json::value, Unreadable> parse_text(std::string_view text) {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  boost::system::error_code error;
  json::value value = json::parse(text, error, {}, options);
  if (error) return std::unexpected(Unreadable{{kParseError, "Parse error: " + error.message()}});
  if (const auto key = doubled_key(text, options)) {
    const auto* const object = value.if_object();
    const auto* const id = object == nullptr || *key == "id" ? nullptr : object->if_contains("id");
    return refuse("the key '" + *key + "' is given twice", id != nullptr && is_id(*id) ? *id : json::value(nullptr));
  }
  return value;
}

std::expected<Message, Unreadable> read_message(json::value value) {
  auto* const object = value.if_object();
  if (object == nullptr) return refuse("it is not an object", nullptr);
  Message message;
  const auto* const id = object->if_contains("id");
  if (id != nullptr && is_id(*id)) message.id = *id;
  const auto* const version = object->if_contains("jsonrpc");
  if (version == nullptr || !version->is_string() || version->get_string() != "2.0")
    return refuse("jsonrpc is not \"2.0\"", std::move(message.id));
  if (id != nullptr && !is_id(*id) && (object->contains("method") || !id->is_null()))
    return refuse("id is neither a string nor an integer", nullptr);
  auto* const method = object->if_contains("method");
  if (method == nullptr) return read_response(*object, std::move(message));
  if (!method->is_string()) return refuse("method is not a string", std::move(message.id));
  message.method = method->get_string();
  message.kind = id == nullptr ? Message::Kind::notification : Message::Kind::request;
  if (auto* const params = object->if_contains("params")) {
    if (!params->is_object())
      return std::unexpected(
          Unreadable{{kInvalidParams, "Invalid params: params is not an object"}, std::move(message.id)});
    message.params = std::move(params->get_object());
  }
  return message;
}

json::object make_result(json::value id, json::object result) {
  return {{"jsonrpc", "2.0"}, {"id", std::move(id)}, {"result", std::move(result)}};
}

json::object make_fault(json::value id, const Fault& fault) {
  json::object error{{"code", fault.code}, {"message", fault.message}};
  if (!fault.data.is_null()) error["data"] = fault.data;
  return {{"jsonrpc", "2.0"}, {"id", std::move(id)}, {"error", std::move(error)}};
}

json::object make_notification(std::string_view method, json::object params) {
  return {{"jsonrpc", "2.0"}, {"method", method}, {"params", std::move(params)}};
}

json::object make_request(json::value id, std::string_view method, json::object params) {
  return {{"jsonrpc", "2.0"}, {"id", std::move(id)}, {"method", method}, {"params", std::move(params)}};
}

std::string id_key(const json::value& id) {
  return json::serialize(id);
}

}  // namespace perdure::jsonrpc
