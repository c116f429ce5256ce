#include "runner/output/log.h"

#include "contract/names.h"
#include "contract/output_marker.h"
#include "runner/os/text.h"

namespace runner {
namespace {

constexpr std::int64_t kSmallestSegment = 4096;
constexpr int kSegmentsInHalf = 16;

using Name = Text<48>;

Name segment_name(std::int64_t at) {
  return Name() << perdure::contract::kTailPrefix << at;
}

Name hidden(const char* name) {
  return Name() << perdure::contract::kHiddenPrefix << name;
}

bool has_no_unnamed_files(int error) {
  return error == -EOPNOTSUPP || error == -EISDIR || error == -EINVAL;
}

}  // namespace

void Log::open(int task_folder, std::int64_t limit, perdure::contract::SpecOnLimit on_limit, bool unnamed) {
  folder_ = task_folder;
  unnamed_ = unnamed;
  if (unnamed) file_ = make(perdure::contract::kOutputFile);  // other processes can watch it from the start
  limit_ = limit;
  truncates_ = limit > 0 && on_limit == perdure::contract::SpecOnLimit::truncate;
  head_limit_ = truncates_ ? limit / 2 : limit;
  const std::int64_t share = (limit - head_limit_) / kSegmentsInHalf;
  segment_limit_ = share > kSmallestSegment ? share : kSmallestSegment;
}

bool Log::append(const char* bytes, unsigned long n) {
  stream_ += static_cast<std::int64_t>(n);
  if (limit_ == 0) {
    store(bytes, n);
    return true;
  }
  const std::int64_t room = finished_ ? limit_ - (head_ + tail_) : head_limit_ - head_;
  const unsigned long fits = room <= 0 ? 0 : static_cast<std::int64_t>(n) < room ? n : static_cast<unsigned long>(room);
  if (fits > 0) store(bytes, fits);
  if (fits == n) return true;
  if (truncates_ && !finished_) {
    store_tail(bytes + fits, n - fits);
    return true;
  }
  dropped_ += static_cast<std::int64_t>(n - fits);
  const bool first = !over_ && !finished_;
  over_ = true;
  return !first;
}

Fd Log::make(const char* name) {
  if (!unnamed_) return Fd(sys::open_at(folder_, name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW));
  Fd file(sys::open_at(folder_, ".", O_TMPFILE | O_RDWR | O_APPEND));
  if (!has_no_unnamed_files(file.get())) return file;
  hidden_ = true;
  return Fd(sys::open_at(folder_, hidden(name).c_str(), O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW));
}

// Returns how many bytes the disk took. The file is made for its first byte.
unsigned long Log::write_to(Fd& file, const char* name, const char* bytes, unsigned long n) {
  if (!file) file = make(name);
  unsigned long done = 0;
  while (file && done < n) {
    const long wrote = sys::write(file.get(), bytes + done, n - done);
    if (wrote == -EINTR) continue;
    if (wrote <= 0) break;  // full disk: counted, and tried again with the next bytes
    done += static_cast<unsigned long>(wrote);
  }
  return done;
}

void Log::store(const char* bytes, unsigned long n) {
  const auto stored = static_cast<std::int64_t>(write_to(file_, perdure::contract::kOutputFile, bytes, n));
  head_ += stored;
  unstored_ += static_cast<std::int64_t>(n) - stored;
}

void Log::store_tail(const char* bytes, unsigned long n) {
  while (n > 0) {
    if (used_ == 0 || segments_[used_ - 1].bytes >= segment_limit_) {
      if (used_ > 0 && !unnamed_) segments_[used_ - 1].file.reset();
      segments_[used_++] = {head_ + dropped_ + tail_, 0, Fd(), false};
    }
    Segment& last = segments_[used_ - 1];
    const std::int64_t room = segment_limit_ - last.bytes;
    const unsigned long part = static_cast<std::int64_t>(n) < room ? n : static_cast<unsigned long>(room);
    const auto stored = static_cast<std::int64_t>(write_to(last.file, segment_name(last.at).c_str(), bytes, part));
    last.bytes += stored;
    tail_ += stored;
    unstored_ += static_cast<std::int64_t>(part) - stored;
    bytes += part;
    n -= part;
    while (used_ > 1 && (tail_ - segments_[0].bytes >= limit_ - head_limit_ || used_ == kSegments)) drop_oldest();
  }
}

void Log::drop_oldest() {
  remove(segment_name(segments_[0].at).c_str());
  dropped_ += segments_[0].bytes;
  tail_ -= segments_[0].bytes;
  for (int i = 1; i < used_; ++i) segments_[i - 1] = std::move(segments_[i]);
  segments_[--used_] = {};
}

void Log::finish() {
  if (finished_) return;
  finished_ = true;
  if (used_ == 0) return;
  const std::int64_t surplus = tail_ - (limit_ - head_limit_);
  const std::int64_t skip = surplus > 0 ? surplus : 0;
  dropped_ += skip;
  tail_ -= skip;
  if (dropped_ > 0) {
    const auto marker = Text<96>() << perdure::contract::kMarkerBefore << dropped_ << perdure::contract::kMarkerBehind;
    write_to(file_, perdure::contract::kOutputFile, marker.c_str(), marker.view().size());
  }
  for (int i = 0; i < used_; ++i) {
    append_segment(segments_[i], i == 0 ? skip : 0);
    segments_[i] = {};
  }
  used_ = 0;
}

void Log::append_segment(const Segment& segment, std::int64_t skip) {
  const auto name = segment_name(segment.at);
  Fd opened;
  if (!unnamed_) opened = Fd(sys::open_at(folder_, name.c_str(), O_RDONLY | O_NOFOLLOW));
  const Fd& from = unnamed_ ? segment.file : opened;
  static char buffer[16384];
  std::int64_t at = skip;
  while (from && at < segment.bytes) {
    const long n = sys::read_at(from.get(), buffer, sizeof buffer, at);
    if (n == -EINTR) continue;
    if (n <= 0) break;  // the disk can't read it back
    const unsigned long wrote = write_to(file_, perdure::contract::kOutputFile, buffer, static_cast<unsigned long>(n));
    unstored_ += n - static_cast<long>(wrote);
    at += n;
  }
  if (at < segment.bytes) unstored_ += segment.bytes - at;
  remove(name.c_str());
}

void Log::remove(const char* name) const {
  sys::unlink_at(folder_, name);
  if (hidden_) sys::unlink_at(folder_, hidden(name).c_str());
}

int Log::give_name(Fd& file, bool& named, const char* name) const {
  if (!file || named) return 0;
  const auto path = Name() << "/proc/self/fd/" << static_cast<long>(file.get());
  const int e = hidden_ ? sys::rename_at(folder_, hidden(name).c_str(), folder_, name)
                        : sys::checked(::linkat(AT_FDCWD, path.c_str(), folder_, name, AT_SYMLINK_FOLLOW));
  named = e == 0;
  return e;
}

// Names are never removed: a file that has lost its only name can't be linked again.
int Log::link() {
  if (!unnamed_) return 0;
  if (stream_ == 0) {  // nothing was written, so there is no log
    forget();
    file_.reset();
    unnamed_ = false;
    return 0;
  }
  int e = give_name(file_, is_named_, perdure::contract::kOutputFile);
  for (int i = 0; e == 0 && i < used_; ++i)
    e = give_name(segments_[i].file, segments_[i].is_named, segment_name(segments_[i].at).c_str());
  if (e == 0) unnamed_ = false;
  return e;
}

void Log::forget() {
  if (hidden_ || is_named_) remove(perdure::contract::kOutputFile);
  for (int i = 0; i < used_; ++i)
    if (hidden_ || segments_[i].is_named) remove(segment_name(segments_[i].at).c_str());
}

void Log::sync() {
  if (file_) sys::sync(file_.get());
}

}  // namespace runner
