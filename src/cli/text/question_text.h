#pragma once

#include <perdure/question.h>

#include <string>
#include <string_view>

namespace perdure::cli {

/// A question as people read it: its title, its text, its numbered options, its default. Nothing of it does anything to
/// a terminal (L26). Every line ends.
[[nodiscard]] std::string question_text(const Question& question);

/// The answers, one a line; with one question the answer alone. Ends with a line end, or is empty: dismissed.
[[nodiscard]] std::string answer_text(const AskedQuestion& asked, bool for_terminal);

/// What was typed, or given by --choice, as an answer: numbers and labels of options, several behind commas where
/// several may be chosen, else own words.
[[nodiscard]] std::string answer_from_text(const Question& question, std::string_view text);

/// One option by its label, or by its number from 1 on. Errors: usage, naming them.
[[nodiscard]] Result<std::string> label_of_choice(const Question& question, std::string_view choice);

/// The record, what was asked, and what was answered.
[[nodiscard]] std::string asked_json(const AskedQuestion& asked);
/// `"questions":[...],"answer":{...}`: the part of it that is not the record.
[[nodiscard]] std::string question_members(const AskedQuestion& asked);

}  // namespace perdure::cli
