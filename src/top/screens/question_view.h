#pragma once

#include "top/terminal/keys.h"
#include "top/terminal/screen.h"
#include <perdure/question.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace perdure::top {

/// A question, all that it asks, with its options as buttons.
class QuestionView {
 public:
  explicit QuestionView(AskedQuestion asked) : asked_(std::move(asked)) {}

  void draw(Screen& screen, int first_row, int rows);

  enum class Wish { nothing, own_words, answer, dismiss, other_key };
  Wish on_key(const Key& key);
  /// An answer in own words to what is asked now. True: that was the last one.
  bool say(const std::string& words);

  [[nodiscard]] const Task& task() const { return asked_.task; }
  [[nodiscard]] const std::map<std::string, std::string>& answers() const { return answers_; }
  /// The command that gives these answers.
  [[nodiscard]] std::string command() const;
  [[nodiscard]] bool is_open() const { return !is_terminal(asked_.task.status); }

 private:
  [[nodiscard]] const Question* now() const {
    return number_ < asked_.questions.size() ? &asked_.questions[number_] : nullptr;
  }
  Wish choose();

  AskedQuestion asked_;
  std::size_t number_ = 0;  // of the question that is asked now
  std::size_t marked_ = 0;  // option; behind the last one: own words
  std::set<std::size_t> chosen_;
  std::map<std::string, std::string> answers_;
  std::vector<std::pair<int, std::size_t>> buttons_;  // rows on the screen
  int scrolled_ = 0;
};

}  // namespace perdure::top
