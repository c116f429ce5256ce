#pragma once

#include <perdure/manager.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Parts of a log for display. Offsets are those of the stream that the command wrote (docs/internals/disk-format.md).
namespace perdure::view {

/// Reads at most `limit` bytes from `offset`: a task's output, its activity, or a text in a test. Errors:
/// output_expired with details["nextOffset"] if the bytes were dropped.
using Read = std::function<Result<OutputChunk>(std::int64_t offset, std::int64_t limit)>;

/// The manager must outlive the returned function.
[[nodiscard]] Read output_of(const TaskManager& manager, const TaskId& id);
[[nodiscard]] Read activity_of(const TaskManager& manager, const TaskId& id);

inline constexpr std::int64_t kMostWindow = 256 << 10;
inline constexpr std::int64_t kLookBack = 64 << 10;

/// Bytes that were not kept.
struct Gap {
  std::int64_t at = 0, bytes = 0;
  bool operator==(const Gap&) const = default;
};

struct Window {
  std::string bytes;
  std::int64_t offset = 0;       ///< of the first byte
  std::int64_t next_offset = 0;  ///< where the next window starts; after the gap, if there is one
  std::int64_t size = 0;
  bool eof = false;
  std::optional<Gap> gap;  ///< bytes dropped right after `bytes`, or, if that is empty, at `offset`
};

enum class Align { none, line };

/// At most `limit` (and 256 KiB) bytes from the start of the line that contains `at` (V20). The start is searched up to
/// 64 KiB before; in a longer line the window begins at `at`, at a character. In dropped bytes it begins after them.
[[nodiscard]] Result<Window> window(const Read& read, std::int64_t at, std::int64_t limit, Align align = Align::line);

/// One line for display. A line longer than kMostLine comes in pieces.
struct TextLine {
  std::int64_t offset = 0;
  std::int64_t next = 0;   ///< start of the next line
  std::string bytes;       ///< without the line end
  std::optional<Gap> gap;  ///< set: not a line, but bytes that were not kept
};
inline constexpr std::int64_t kMostLine = 16 << 10;

/// At most `count` lines, from the start of a line on.
[[nodiscard]] Result<std::vector<TextLine>> lines_from(const Read& read, std::int64_t at, std::size_t count);

/// The `count` lines before `at`, in order.
[[nodiscard]] Result<std::vector<TextLine>> lines_before(const Read& read, std::int64_t at, std::size_t count);

/// Line numbers (V21): line ends are counted in blocks of 1 MiB, a slice at a time; nothing is stored on disk.
class LineIndex {
 public:
  /// Counts at most `bytes` more. True: there is more to count.
  [[nodiscard]] Result<bool> advance(const Read& read, std::int64_t bytes = 32 << 20);

  /// Line ends before `offset`; absent: not counted that far yet.
  [[nodiscard]] std::optional<std::int64_t> line_ends_before(const Read& read, std::int64_t offset) const;

  [[nodiscard]] std::int64_t counted() const { return counted_; }

 private:
  std::vector<std::int64_t> before_block_ = {0};  // line ends before each block
  std::int64_t counted_ = 0;
  std::int64_t in_block_ = 0;
};

/// The number of line ends in a text.
[[nodiscard]] std::int64_t count_line_ends(std::string_view bytes);

/// Where the kept bytes continue, from an error output_expired; absent: another error.
[[nodiscard]] std::optional<std::int64_t> next_kept(const Error& error);

}  // namespace perdure::view
