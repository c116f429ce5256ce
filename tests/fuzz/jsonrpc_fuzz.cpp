// Any bytes at all: they are refused with a reason, or they are a message that survives being written and read again.

#include "jsonrpc/message.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace perdure::jsonrpc;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto value = parse_text(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!value) {
    if (value.error().fault.message.empty()) std::abort();
    return 0;
  }
  const auto message = read_message(std::move(*value));
  if (!message) return message.error().fault.code == 0 ? std::abort(), 0 : 0;
  if (message->kind == Message::Kind::response) return 0;
  const bool is_request = message->kind == Message::Kind::request;
  const auto again = parse_text(json::serialize(is_request ? make_request(message->id, message->method, message->params)
                                                           : make_notification(message->method, message->params)));
  if (!again) std::abort();
  const auto read = read_message(*again);
  if (!read || read->kind != message->kind || read->method != message->method || read->id != message->id) std::abort();
  return 0;
}
