#pragma once

#include "top/terminal/keys.h"
#include "top/terminal/screen.h"
#include <perdure/question.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace perdure::top {

/// A question task with all its questions; the options are buttons.
class QuestionView {
 public:
  explicit QuestionView(AskedQuestion asked) : asked_(std::move(asked)) {}

  void draw(Screen& screen, int first_row, int rows);

  enum class Wish { nothing, own_words, answer, dismiss, other_key };
  Wish on_key(const Key& key);
  /// Typed text for the current question. True: it was the last question.
  bool say(const std::string& words);

  [[nodiscard]] const Task& task() const { return asked_.task; }
  [[nodiscard]] const std::map<std::string, std::string>& answers() const { return answers_; }
  /// The command line that gives these answers.
  [[nodiscard]] std::string command() const;
  [[nodiscard]] bool is_open() const { return !is_terminal(asked_.task.status); }

 private:
  [[nodiscard]] const Question* now() const {
    return number_ < asked_.questions.size() ? &asked_.questions[number_] : nullptr;
  }
  Wish choose();

  AskedQuestion asked_;
  std::size_t number_ = 0;  // of the current question
  std::size_t marked_ = 0;  // option; after the last one: typed text
  std::set<std::size_t> chosen_;
  std::map<std::string, std::string> answers_;
  std::vector<std::pair<int, std::size_t>> buttons_;  // rows on the screen
  int scrolled_ = 0;
};

}  // namespace perdure::top
