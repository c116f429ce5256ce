#pragma once

#include <perdure/task.h>

#include <optional>
#include <string>
#include <string_view>

// Converts between bytes and Task, without files: every format of docs/internals/disk-format.md. Never throws.
namespace perdure::codec {

inline constexpr std::size_t kMaxRecordBytes = 1 << 20;
inline constexpr std::size_t kMaxDepth = 32;

/// The content of a record file in the current or the legacy format, validated as a whole. `stem` is the file's name
/// without ".json" and must equal the id inside. The error (record_invalid) names the key and the problem. On success
/// `raw` and `shape` are set and `source` is left empty.
[[nodiscard]] Result<Task> decode(std::string_view bytes, std::string_view stem);

/// The files of a task of the oldest format; an absent runtime means `created`.
struct KimiCliFiles {
  std::string_view spec;                    // spec.json
  std::optional<std::string_view> runtime;  // runtime.json; an invalid one means `created`, too
};
[[nodiscard]] Result<Task> decode_kimi_cli(const KimiCliFiles& files, std::string_view folder);

/// The record in the current shape, compact, one line. Keys of `task.raw` that have no place in Task keep their raw
/// text and their order (L19); for a legacy record that includes, under its old name, every key that has no current
/// name (L21). Strings that are not UTF-8 are made so.
[[nodiscard]] std::string encode(const Task& task);

/// The members that never change while a runner holds the task, without the braces: `"taskId":"..",...`.
/// The runner writes the rest: status detached startedAt endedAt stopReason terminalNotificationSuppressed timeoutMs
/// pid exitCode questionOutcome signal runner outputBytes droppedBytes unstoredBytes survivors leftovers startedSeq endedSeq.
[[nodiscard]] std::string constant_members(const Task& task);

}  // namespace perdure::codec
