#pragma once

#include <perdure/question.h>

#include <string>
#include <string_view>

namespace perdure::cli {

/// A question for people: its title, text, numbered options and default. Harmless for a terminal (L26). Every line has
/// an end.
[[nodiscard]] std::string question_text(const Question& question);

/// The answers, one a line; for a single question only the answer. Ends with a line end, or is empty: dismissed.
[[nodiscard]] std::string answer_text(const AskedQuestion& asked, bool for_terminal);

/// An answer from typed text or --choice: numbers and labels of options, separated by commas if several may be chosen;
/// else the text itself.
[[nodiscard]] std::string answer_from_text(const Question& question, std::string_view text);

/// One option by its label, or by its number from 1 on. Errors: usage, naming them.
[[nodiscard]] Result<std::string> label_of_choice(const Question& question, std::string_view choice);

/// The record, the question and the answer.
[[nodiscard]] std::string asked_json(const AskedQuestion& asked);
/// `"questions":[...],"answer":{...}`: the part of it that is not the record.
[[nodiscard]] std::string question_members(const AskedQuestion& asked);

}  // namespace perdure::cli
