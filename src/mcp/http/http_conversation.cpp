#include "mcp/http/http_conversation.h"

#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace perdure::mcp {
namespace {

constexpr std::size_t kMostEvents = 1000, kMostBytes = 4 << 20, kMostStreams = 32, kMostConversations = 256;

std::string random_id() {
  std::array<unsigned char, 16> bytes{};
  // Can't fail: few bytes, no flags, after the boot.
  [[maybe_unused]] const ssize_t n = ::getrandom(bytes.data(), bytes.size(), 0);
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace

EventStream::EventStream(std::uint64_t number) : number_(number), changed_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

bool EventStream::send(const json::object& message) {
  std::string text = json::serialize(message);
  const std::lock_guard lock(mutex_);
  if (finished_) return false;
  add(std::move(text));
  return true;
}

void EventStream::finish(const json::object& message, std::function<void()> delivered) {
  std::string text = json::serialize(message);
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  add(std::move(text));
  finished_ = true;
  delivered_ = std::move(delivered);
}

void EventStream::add(std::string text) {
  bytes_ += text.size();
  events_.push_back(std::move(text));
  while (events_.size() > kMostEvents || (bytes_ > kMostBytes && events_.size() > 1)) {
    bytes_ -= events_.front().size();
    events_.pop_front();
    ++first_;
  }
  wake();
}

void EventStream::ask_to_close() {
  const std::lock_guard lock(mutex_);
  close_ = true;
  wake();
}

void EventStream::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t told = ::write(changed_.get(), &one, sizeof one);
}

EventStream::Events EventStream::take(std::uint64_t place) {
  const std::lock_guard lock(mutex_);
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = ::read(changed_.get(), &count, sizeof count);
  Events taken;
  for (std::uint64_t at = std::max(place + 1, first_); at < first_ + events_.size(); ++at)
    taken.events.emplace_back(at, events_[at - first_]);
  taken.has_last = finished_;
  taken.shall_close = std::exchange(close_, false);
  return taken;
}

std::uint64_t EventStream::attach() {
  const std::lock_guard lock(mutex_);
  wake();
  return ++reader_;
}

bool EventStream::is_attached(std::uint64_t reader) const {
  const std::lock_guard lock(mutex_);
  return reader_ == reader;
}

void EventStream::wake_reader() {
  const std::lock_guard lock(mutex_);
  wake();
}

void EventStream::note_seen(std::uint64_t place) {
  const std::lock_guard lock(mutex_);
  seen_ = std::max(seen_, place);
}

std::uint64_t EventStream::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

void EventStream::note_delivered() {
  std::function<void()> delivered;
  {
    const std::lock_guard lock(mutex_);
    delivered.swap(delivered_);
  }
  if (delivered) delivered();
}

std::string EventStream::event_id(std::uint64_t place) const {
  return fmt::format("{}-{}", number_, place);
}

HttpConversation::HttpConversation(std::string id)
    : background(std::make_shared<EventStream>(0)), state(*background), id_(std::move(id)) {}

std::shared_ptr<EventStream> HttpConversation::open_stream() {
  const std::lock_guard lock(mutex_);
  auto stream = std::make_shared<EventStream>(++last_);
  streams_[last_] = stream;
  if (streams_.size() > kMostStreams) streams_.erase(streams_.begin());
  return stream;
}

std::pair<std::shared_ptr<EventStream>, std::uint64_t> HttpConversation::find(std::string_view event_id) {
  std::uint64_t number = 0, place = 0;
  const char* const end = event_id.data() + event_id.size();
  const auto first = std::from_chars(event_id.data(), end, number);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-') return {};
  if (std::from_chars(first.ptr + 1, end, place).ptr != end) return {};
  const std::lock_guard lock(mutex_);
  if (number == 0) return {background, place};
  const auto found = streams_.find(number);
  if (found == streams_.end()) return {};
  return {found->second, place};
}

void HttpConversation::drop(const EventStream& stream) {
  const std::lock_guard lock(mutex_);
  streams_.erase(stream.number());
}

std::shared_ptr<HttpConversation> HttpConversations::open() {
  auto conversation = std::make_shared<HttpConversation>(random_id());
  const std::lock_guard lock(mutex_);
  entries_[conversation->id()] = {conversation, ++clock_};
  return conversation;
}

std::shared_ptr<HttpConversation> HttpConversations::find(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return nullptr;
  found->second.used = ++clock_;
  return found->second.conversation;
}

std::shared_ptr<HttpConversation> HttpConversations::take(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return nullptr;
  auto conversation = std::move(found->second.conversation);
  entries_.erase(found);
  return conversation;
}

std::vector<std::shared_ptr<HttpConversation>> HttpConversations::take_surplus() {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<HttpConversation>> surplus;
  while (entries_.size() > kMostConversations) {
    const auto oldest = std::ranges::min_element(entries_, {}, [](const auto& entry) { return entry.second.used; });
    surplus.push_back(std::move(oldest->second.conversation));
    entries_.erase(oldest);
  }
  return surplus;
}

std::vector<std::shared_ptr<HttpConversation>> HttpConversations::take_all() {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<HttpConversation>> all;
  for (auto& [id, entry] : entries_) all.push_back(std::move(entry.conversation));
  entries_.clear();
  return all;
}

}  // namespace perdure::mcp
