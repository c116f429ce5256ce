#pragma once

#include "store/session.h"

#include <cstdint>
#include <optional>
#include <string>

namespace perdure::store {

/// Writes tasks/<id>/question.json, durably.
[[nodiscard]] Result<> write_question(const Session& session, const TaskId& id, const std::string& json);

/// Removes it and the folder: the question was not asked after all.
void remove_question(const Session& session, const TaskId& id);

/// Errors: record_invalid if it is missing or is not a regular file.
[[nodiscard]] Result<std::string> read_question(const Session& session, const TaskId& id);

/// The answer of a question: output.log. If it exists, the question was answered, whatever its record says: only the
/// holder of runner.lock makes it, by a rename.
struct StoredAnswer {
  std::string json;
  std::int64_t written_ms = 0;
};
/// Absent: there is none.
[[nodiscard]] Result<std::optional<StoredAnswer>> read_answer(const Session& session, const TaskId& id);

/// An answer that is durable but not given yet: a file in the task's folder. Removed by the destructor.
class DraftAnswer {
 public:
  [[nodiscard]] static Result<DraftAnswer> write(const Session& session, const TaskId& id, const std::string& json);
  DraftAnswer(DraftAnswer&&) noexcept = default;
  DraftAnswer& operator=(DraftAnswer&&) = delete;
  ~DraftAnswer();

  /// The file's name in that folder.
  [[nodiscard]] const std::string& name() const { return name_; }

  /// Makes it the answer. Only for the holder of runner.lock, and only if there is no answer.
  [[nodiscard]] Result<> give();

  /// Was it made the answer? Only that gives the file another name.
  [[nodiscard]] bool was_given() const;

 private:
  DraftAnswer(Fd folder, std::string path, std::string name)
      : folder_(std::move(folder)), path_(std::move(path)), name_(std::move(name)) {}
  Fd folder_;
  std::string path_, name_;
};

}  // namespace perdure::store
