#include "store/output_log.h"

#include "base/error.h"
#include "base/files.h"
#include "base/try.h"
#include "contract/names.h"
#include "contract/output_marker.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>

namespace perdure::store {

using namespace contract;

namespace {

constexpr std::size_t kMaxMarkerBytes = 96;
constexpr int kMostLooks = 100;

Result<std::string> read_at(int file, std::int64_t at, std::int64_t bytes, const std::string& path) {
  std::string out(static_cast<std::size_t>(bytes), '\0');
  std::size_t have = 0;
  while (have < out.size()) {
    const ssize_t n = ::pread(file, out.data() + have, out.size() - have, at + static_cast<std::int64_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("reading", path);
    if (n == 0) break;  // another process truncated it
    have += static_cast<std::size_t>(n);
  }
  out.resize(have);
  return out;
}

// A file of the log with its size. Absent: it does not exist.
Result<std::optional<std::pair<Fd, std::int64_t>>> open_part(int folder, const std::string& name,
                                                             const std::string& path) {
  auto file = open_at(folder, name, O_RDONLY, path);
  if (!file && file.error().os_error == ENOENT) return std::nullopt;
  if (!file && (file.error().os_error == ELOOP || file.error().os_error == ENXIO))
    return fail(ErrorCode::session_unusable, path + ": is a link or a socket, not a file: it is not read");
  if (!file) return std::unexpected(file.error());
  struct stat about{};
  if (::fstat(file->get(), &about) != 0) return fail_errno("reading", path);
  if (!S_ISREG(about.st_mode)) return fail(ErrorCode::session_unusable, path + ": is not a file: it is not read");
  return std::pair(std::move(*file), std::int64_t{about.st_size});
}

struct Marker {
  std::int64_t at = 0;      // in output.log
  std::int64_t length = 0;  // of the marker
  std::int64_t dropped = 0;
};

// The marker at the start of `text`, if there is one.
std::optional<Marker> parse_marker(std::string_view text) {
  if (!text.starts_with(kMarkerBefore)) return std::nullopt;
  std::string_view rest = text.substr(std::string_view(kMarkerBefore).size());
  Marker marker;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), marker.dropped);
  if (error != std::errc() || marker.dropped <= 0) return std::nullopt;
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  if (!rest.starts_with(kMarkerBehind)) return std::nullopt;
  rest.remove_prefix(std::string_view(kMarkerBehind).size());
  marker.length = static_cast<std::int64_t>(text.size() - rest.size());
  return marker;
}

Result<std::optional<Marker>> marker_at(int file, std::int64_t at, const std::string& path) {
  TRY(auto text, read_at(file, at, kMaxMarkerBytes, path));
  auto marker = parse_marker(text);
  if (marker) marker->at = at;
  return marker;
}

// The marker of a log whose runner was killed while it joined the segments: the file must end within the first
// remaining segment. Output that only looks like a marker does not meet this condition.
Result<std::optional<Marker>> find_marker(int file, std::int64_t size, std::int64_t first_segment,
                                          std::int64_t segment_bytes, const std::string& path) {
  constexpr std::int64_t kSearched = 1 << 20;
  for (std::int64_t from = 0; from < size; from += kSearched) {
    TRY(auto text, read_at(file, from, kSearched + static_cast<std::int64_t>(kMaxMarkerBytes), path));
    for (auto i = text.find(kMarkerBefore); i != std::string::npos && i < static_cast<std::size_t>(kSearched);
         i = text.find(kMarkerBefore, i + 1)) {
      auto marker = parse_marker(std::string_view(text).substr(i, kMaxMarkerBytes));
      if (!marker) continue;
      marker->at = from + static_cast<std::int64_t>(i);
      const std::int64_t end = size - marker->length + marker->dropped;
      if (end >= first_segment && end <= first_segment + segment_bytes) return marker;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string output_folder(const Session& session, const Task& task) {
  if (task.found.source.empty()) return session.folder_path(task.id);
  const std::string beside = task.found.source.substr(0, task.found.source.rfind('/'));
  return task.found.shape == Shape::kimi_cli ? beside : beside + "/" + task.id.str();
}

std::optional<std::string> output_log_path(const Session& session, const Task& task) {
  std::string path = output_folder(session, task) + "/" + kOutputFile;
  struct stat about{};
  if (::lstat(path.c_str(), &about) != 0 || !S_ISREG(about.st_mode)) return std::nullopt;
  return path;
}

Result<> name_log(const Session& session, const TaskId& id, const LogFiles& files) {
  struct stat about{};
  if (!files.head || (::fstat(files.head.get(), &about) == 0 && about.st_size == 0)) return {};
  TRY(auto folder, session.open_folder(id));
  const std::string path = session.folder_path(id) + "/" + kOutputFile;
  const std::string unnamed = fmt::format("/proc/self/fd/{}", files.head.get());
  if (::linkat(AT_FDCWD, unnamed.c_str(), folder.get(), kOutputFile, AT_SYMLINK_FOLLOW) == 0) return {};
  // A file whose name was removed can't be linked again.
  TRY(auto copy, open_at(folder.get(), kOutputFile, O_WRONLY | O_CREAT | O_EXCL, path));
  constexpr std::int64_t kPart = 1 << 20;
  for (std::int64_t at = 0;;) {
    TRY(auto part, read_at(files.head.get(), at, kPart, path));
    if (part.empty()) return {};
    if (auto written = write_all(copy.get(), part, path); !written) {
      ::unlinkat(folder.get(), kOutputFile, 0);
      return written;
    }
    at += static_cast<std::int64_t>(part.size());
  }
}

std::int64_t output_size(const Session& session, const Task& task) {
  const auto log = OutputLog::open(session, task);
  return log ? log->size() : 0;
}

Result<OutputLog> OutputLog::open(const Session& session, const Task& task) {
  const std::string where = output_folder(session, task);
  OutputLog log;
  log.path_ = where + "/" + kOutputFile;
  auto folder = open_folder_at(AT_FDCWD, where, where);
  if (!folder && folder.error().os_error != ENOENT) return std::unexpected(folder.error());
  // Segments before the head: once there is a segment the head is complete, so the bytes between them were dropped.
  std::vector<Segment> segments;
  for (int looks = 0; folder && looks < kMostLooks; ++looks) {
    TRY(auto complete, log.open_segments(folder->get(), segments));
    if (complete) break;  // else the oldest segment was dropped between the listing and the opening
  }
  Fd head;
  if (folder) {
    TRY(auto part, open_part(folder->get(), kOutputFile, log.path_));
    if (part) head = std::move(part->first);
  }
  TRY_VOID(log.lay_out(task, std::move(head), std::move(segments)));
  return log;
}

Result<OutputLog> OutputLog::of(const LogFiles& files, const Task& task) {
  OutputLog log;
  log.path_ = fmt::format("the output of {}", task.id.str());
  const auto copy = [](const Fd& fd) { return Fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)); };
  std::vector<Segment> segments;
  for (const auto& part : files.segments) {
    struct stat about{};
    if (::fstat(part.file.get(), &about) != 0) return fail_errno("reading", log.path_);
    segments.push_back({part.at, about.st_size, copy(part.file)});
    if (!segments.back().file) return fail_errno("reading", log.path_);
  }
  std::ranges::sort(segments, {}, &Segment::at);
  Fd head = files.head ? copy(files.head) : Fd();
  if (files.head && !head) return fail_errno("reading", log.path_);
  TRY_VOID(log.lay_out(task, std::move(head), std::move(segments)));
  return log;
}

Result<bool> OutputLog::open_segments(int folder, std::vector<Segment>& segments) const {
  segments.clear();
  TRY(auto entries, read_folder(folder, path_));
  const std::string_view prefix = kTailPrefix;
  for (const auto& entry : entries) {
    if (!entry.name.starts_with(prefix)) continue;
    Segment segment;
    const char* const last = entry.name.data() + entry.name.size();
    const auto [end, error] = std::from_chars(entry.name.data() + prefix.size(), last, segment.at);
    if (error != std::errc() || end != last || segment.at < 0) continue;
    TRY(auto part, open_part(folder, entry.name, path_));
    if (!part) return false;
    segment.file = std::move(part->first);
    segment.bytes = part->second;
    segments.push_back(std::move(segment));
  }
  std::ranges::sort(segments, {}, &Segment::at);
  // A listing may miss a segment that was made meanwhile and contain the one after it: bytes after a gap are left to
  // the next listing.
  for (std::size_t i = 1; i < segments.size(); ++i)
    if (segments[i].at != segments[i - 1].at + segments[i - 1].bytes) segments.resize(i);
  return true;
}

Result<> OutputLog::lay_out(const Task& task, Fd head, std::vector<Segment> segments) {
  std::int64_t bytes = 0;
  if (head) {
    struct stat about{};
    if (::fstat(head.get(), &about) != 0) return fail_errno("reading", path_);
    bytes = about.st_size;
  }
  std::optional<Marker> marker;
  if (head && task.output.dropped_at && *task.output.dropped_at <= bytes) {
    TRY(auto found, marker_at(head.get(), *task.output.dropped_at, path_));
    marker = found;
  } else if (head && !segments.empty() && (is_terminal(task.status) || task.found.runner_gone)) {
    TRY(auto found, find_marker(head.get(), bytes, segments.front().at, segments.front().bytes, path_));
    marker = found;
  }
  if (!marker) {
    if (bytes > 0) add(0, bytes, 0, std::move(head));
  } else {
    // The number in the marker, not the record's: processes left running may have written after the record.
    const std::int64_t behind = marker->at + marker->length;
    const std::int64_t tail_at = marker->at + marker->dropped;
    add(0, marker->at, 0, std::move(head));
    add_again(tail_at, tail_at + bytes - behind, behind);
    size_ = std::max(size_, tail_at);
  }
  // A runner that was killed while it joined segments leaves one segment that is partly in output.log too.
  for (auto& segment : segments) {
    const std::int64_t begin = std::max(segment.at, size_);
    add(begin, segment.at + segment.bytes, begin - segment.at, std::move(segment.file));
  }
  // With the output limit `stop` only the beginning is kept.
  if (task.output.dropped_at && task.output.dropped_bytes)
    size_ = std::max(size_, *task.output.dropped_at + *task.output.dropped_bytes);
  return {};
}

void OutputLog::add(std::int64_t begin, std::int64_t end, std::int64_t file_at, Fd file) {
  files_.push_back(std::move(file));
  add_again(begin, end, file_at);
}

void OutputLog::add_again(std::int64_t begin, std::int64_t end, std::int64_t file_at) {
  if (begin >= end) return;
  pieces_.push_back({begin, end, file_at, files_.size() - 1});
  size_ = std::max(size_, end);
}

std::int64_t OutputLog::dropped() const {
  std::int64_t kept = 0;
  for (const auto& piece : pieces_) kept += piece.end - piece.begin;
  return size_ - kept;
}

std::optional<std::int64_t> OutputLog::dropped_at() const {
  std::int64_t at = 0;
  for (const auto& piece : pieces_) {
    if (piece.begin != at) break;
    at = piece.end;
  }
  return at < size_ ? std::optional(at) : std::nullopt;
}

Result<std::string> OutputLog::read(std::int64_t offset, std::int64_t limit) const {
  std::string bytes;
  if (limit <= 0 || offset >= size_) return bytes;
  const std::int64_t end = limit < size_ - offset ? offset + limit : size_;
  std::int64_t at = offset;
  for (const auto& piece : pieces_) {
    if (piece.end <= at) continue;
    if (piece.begin > at || at >= end) break;
    const std::int64_t wanted = std::min(end, piece.end) - at;
    auto part = read_at(files_[piece.file].get(), piece.file_at + at - piece.begin, wanted, path_);
    if (!part) return part;
    bytes += *part;
    if (static_cast<std::int64_t>(part->size()) < wanted) return bytes;
    at += wanted;
  }
  if (at > offset) return bytes;
  std::int64_t next = size_;
  for (const auto& piece : pieces_)
    if (piece.begin > offset) next = std::min(next, piece.begin);
  auto expired =
      fail(ErrorCode::output_expired, fmt::format("the output at {} was dropped: read on at {}", offset, next));
  expired.error().details["nextOffset"] = std::to_string(next);
  return expired;
}

OutputLog::Window OutputLog::tail(std::int64_t bytes) const {
  if (pieces_.empty()) return {.begin = size_, .end = size_};
  std::int64_t begin = pieces_.back().begin;
  for (auto piece = pieces_.rbegin(); piece != pieces_.rend() && piece->end >= begin; ++piece) begin = piece->begin;
  const std::int64_t end = pieces_.back().end;
  if (end - begin <= bytes) return {.begin = begin, .end = end};
  return {.begin = end - std::max<std::int64_t>(bytes, 0), .end = end, .cut = true};
}

}  // namespace perdure::store
