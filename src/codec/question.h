#pragma once

#include <perdure/question.h>

#include <cstddef>
#include <string>
#include <string_view>

// Questions and answers as JSON: question.json, and the output of a question task (docs/internals/disk-format.md). No files.
namespace perdure::codec {

inline constexpr std::size_t kMaxQuestionBytes = 1 << 20;

/// May these be asked together? Errors: usage.
[[nodiscard]] Result<> check_questions(const std::vector<Question>& questions);

/// `{"answers":{...}}`, with the note if there is one; compact.
[[nodiscard]] std::string encode_answer(const Answer& answer);

/// The answers in stored form: each question has a non-blank one; defaults are filled in. Errors: usage, naming a
/// question that was not asked or not answered.
[[nodiscard]] Result<Answer> complete_answer(const std::vector<Question>& questions, Answer given);

/// The defaults as an answer; absent if a question has none.
[[nodiscard]] std::optional<Answer> default_answer(const std::vector<Question>& questions);

}  // namespace perdure::codec
