#include "acp/record/activity.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace perdure::acp {
namespace {

constexpr std::size_t kHeldBytes = 4'096;
constexpr std::int64_t kHeldMs = 500;
constexpr std::size_t kLongestEntry = 32 << 10;

std::string cut(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  std::string_view start = text.substr(0, most);
  start.remove_suffix(incomplete_suffix(start));
  return std::string(start) + "...";
}

}  // namespace

json::value shortened(const json::value& value, std::size_t most) {
  if (value.is_string()) return json::value(cut(value.get_string(), most));
  const std::string text = json::serialize(value);
  if (text.size() <= most) return value;
  return json::value(cut(text, most));
}

Activity::Activity(Fd file) : file_(std::move(file)) {
  struct stat about{};
  if (file_ && ::fstat(file_.get(), &about) == 0) bytes_ = about.st_size;
}

void Activity::add(std::string_view type, json::object fields) {
  const std::lock_guard lock(mutex_);
  flush();
  if (left_out_ > 0 && type == "end") fields["left_out"] = left_out_;
  write(type, std::move(fields), kMostBytes);
}

void Activity::add_talk(std::string_view type, json::object fields) {
  const std::lock_guard lock(mutex_);
  flush();
  write(type, std::move(fields), kMostTalk);
}

void Activity::add_text(std::string_view type, std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (held_type_ != type) flush();
  if (held_.empty()) {
    held_type_ = type;
    held_since_ = steady_ms();
  }
  while (!text.empty()) {
    // A piece may have any length: it is neither kept nor written as a whole.
    std::string_view piece = text.substr(0, kHeldBytes);
    if (piece.size() < text.size()) piece.remove_suffix(incomplete_suffix(piece));
    held_ += piece;
    text.remove_prefix(piece.size());
    if (held_.size() >= kHeldBytes || steady_ms() - held_since_ >= kHeldMs) {
      flush();
      held_type_ = type;
      held_since_ = steady_ms();
    }
  }
}

void Activity::flush() {
  if (held_.empty()) return;
  json::object fields{{"text", std::exchange(held_, {})}};
  write(std::exchange(held_type_, {}), std::move(fields), kMostTalk);
}

void Activity::write(std::string_view type, json::object fields, std::int64_t most) {
  json::object entry{{"time", now_ms()}, {"type", type}};
  for (auto& field : fields) entry[field.key()] = std::move(field.value());
  std::string line = json::serialize(entry);
  if (line.size() > kLongestEntry) {
    for (auto& field : entry)
      if (field.key() != "time" && field.key() != "type") field.value() = shortened(field.value(), 1'024);
    line = json::serialize(entry);
  }
  line += '\n';
  const auto size = static_cast<std::int64_t>(line.size());
  if (bytes_ + size > most) {
    if (left_out_++ > 0 || bytes_ + 128 > kMostBytes) return;
    json::object note{{"time", now_ms()}, {"type", "cut"}, {"text", "there was too much to keep all of it"}};
    line = json::serialize(note) + '\n';
  }
  // A single write, so that lines of several writers are not mixed, and readers see whole lines.
  ssize_t n = 0;
  while ((n = ::write(file_.get(), line.data(), line.size())) < 0 && errno == EINTR) {
  }
  if (n > 0) bytes_ += n;
  if (n < 0) ++left_out_;
}

}  // namespace perdure::acp
