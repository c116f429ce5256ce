#pragma once

#include "store/session.h"

#include <cstdint>
#include <optional>
#include <string>

namespace perdure::store {

/// Writes tasks/<id>/question.json, durably.
[[nodiscard]] Result<> write_question(const Session& session, const TaskId& id, const std::string& json);

/// Takes it, and the folder, away again: the question was not asked after all.
void remove_question(const Session& session, const TaskId& id);

/// Errors: record_invalid where it is not there or is no regular file.
[[nodiscard]] Result<std::string> read_question(const Session& session, const TaskId& id);

/// The answer of a question: output.log. It is the decision: who finds one knows that the question was answered, whatever
/// its record says, because it appears by a rename, made by the one who holds runner.lock.
struct StoredAnswer {
  std::string json;
  std::int64_t written_ms = 0;
};
/// Absent: there is none.
[[nodiscard]] Result<std::optional<StoredAnswer>> read_answer(const Session& session, const TaskId& id);

/// An answer that is written, durably, but not given yet: a file in the task's folder. Removed when it goes.
class DraftAnswer {
 public:
  [[nodiscard]] static Result<DraftAnswer> write(const Session& session, const TaskId& id, const std::string& json);
  DraftAnswer(DraftAnswer&&) noexcept = default;
  DraftAnswer& operator=(DraftAnswer&&) = delete;
  ~DraftAnswer();

  /// The name of the file in the folder.
  [[nodiscard]] const std::string& name() const { return name_; }

  /// Makes it the answer. Only for the holder of runner.lock, and only where there is none.
  [[nodiscard]] Result<> give();

  /// Somebody made it the answer: only then has the file another name.
  [[nodiscard]] bool was_given() const;

 private:
  DraftAnswer(Fd folder, std::string path, std::string name)
      : folder_(std::move(folder)), path_(std::move(path)), name_(std::move(name)) {}
  Fd folder_;
  std::string path_, name_;
};

}  // namespace perdure::store
