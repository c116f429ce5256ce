#include "acp/record/message.h"

#include "base/utf8.h"

#include <algorithm>

namespace perdure::acp {

void FinalMessage::add(std::string_view id, std::string_view text) {
  const bool goes_on = id.empty() && id_.empty() ? !interrupted_ : id == id_;
  if (!goes_on) {
    text_.clear();
    cut_ = false;
  }
  id_ = id;
  interrupted_ = false;
  const std::size_t room = kMostBytes - std::min(kMostBytes, text_.size());
  cut_ |= text.size() > room;
  text_ += text.substr(0, room);
}

std::string FinalMessage::text() const {
  if (text_.empty()) return "";
  std::string whole = text_.substr(0, text_.size() - (cut_ ? incomplete_suffix(text_) : 0));
  if (!whole.ends_with('\n')) whole += '\n';
  if (cut_) whole += "[the message was longer than 8 MiB; the rest is not kept]\n";
  return whole;
}

}  // namespace perdure::acp
