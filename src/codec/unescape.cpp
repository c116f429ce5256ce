#include "codec/unescape.h"

#include <boost/json.hpp>

namespace perdure::codec {

std::string unescape(std::string_view escaped) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse("\"" + std::string(escaped) + "\"", error);
  if (error || !value.is_string()) return {};
  const auto& text = value.get_string();
  return {text.data(), text.size()};
}

}  // namespace perdure::codec
