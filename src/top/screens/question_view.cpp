#include "top/screens/question_view.h"

#include "base/clock.h"
#include "top/screens/words.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::top {
namespace {

using view::Style;

std::string deadline_text(const Task& task) {
  if (task.limits.timeout_ms.value_or(0) <= 0) return "It waits for an answer without a deadline.";
  const auto left =
      ms_of(task.limits.timeout_from).value_or(ms_of(task.started_at)) + *task.limits.timeout_ms - now_ms();
  const auto policy = task.question.on_deadline.value_or(OnDeadline::expire);
  const std::string_view what = policy == OnDeadline::take_default ? "the default is the answer"
                                : policy == OnDeadline::expire     ? "it expires"
                                                                   : "it goes on waiting";
  return fmt::format("In {} {}.", length_text(left), what);
}

}  // namespace

void QuestionView::draw(Screen& screen, int first_row, int rows) {
  struct Drawn {
    std::string text;
    Style style;
    int button = -1;
  };
  std::vector<Drawn> lines;
  const int columns = screen.size().columns - 2;
  const auto add = [&](std::string_view text, const Style& style, int indent = 0, int button = -1) {
    for (auto& line : wrapped(text, columns - indent))
      lines.push_back({std::string(static_cast<std::size_t>(indent), ' ') + line, style, button});
  };
  const auto& questions = asked_.questions;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const auto& question = questions[i];
    const bool current = i == number_ && is_open();
    std::string head = questions.size() > 1 ? fmt::format("{}/{}  ", i + 1, questions.size()) : "";
    if (!question.header.empty()) head += fmt::format("[{}] ", view::safe_words(question.header));
    if (!head.empty()) add(head, plain_style(Style::kDim));
    add(question.text, plain_style(current ? Style::kBold : 0));
    const auto answer = answers_.find(question.text);
    if (answer != answers_.end()) add("→ " + answer->second, plain_style(0, 2), 2);
    if (!is_open() && asked_.answer)
      if (const auto given = asked_.answer->answers.find(question.text); given != asked_.answer->answers.end())
        add("→ " + given->second, plain_style(0, 2), 2);
    if (!current) {
      add("", {});
      continue;
    }
    for (std::size_t n = 0; n < question.options.size(); ++n) {
      const auto& option = question.options[n];
      const std::string box = question.multi_select ? chosen_.contains(n) ? "[x] " : "[ ] " : "";
      std::string text = fmt::format("[{}] {}{}", n + 1, box, view::safe_words(option.label));
      if (question.default_answer == option.label) text += "  (default)";
      add(text, plain_style(n == marked_ ? Style::kInverse : 0), 2, static_cast<int>(n));
      if (!option.description.empty()) add(option.description, plain_style(Style::kDim), 6);
    }
    add("[o] in your own words", plain_style(marked_ == question.options.size() ? Style::kInverse : 0), 2,
        static_cast<int>(question.options.size()));
    if (question.multi_select) add("Space chooses several, Enter takes them.", plain_style(Style::kDim), 2);
    add("", {});
  }
  if (is_open()) {
    add(deadline_text(asked_.task), plain_style(Style::kDim));
  } else {
    add(fmt::format("It is closed: {}.", asked_.task.question.outcome ? name_of(*asked_.task.question.outcome)
                                                                      : name_of(asked_.task.status)),
        plain_style(Style::kDim));
  }
  if (asked_.task.owner) add("Asked by " + *asked_.task.owner, plain_style(Style::kDim));
  // Scrolls so that the marked button is visible.
  const auto marked = std::ranges::find(lines, static_cast<int>(marked_), &Drawn::button);
  const int total = static_cast<int>(lines.size());
  if (marked != lines.end()) {
    const int at = static_cast<int>(marked - lines.begin());
    if (at >= scrolled_ + rows) scrolled_ = at - rows + 1;
    if (at < scrolled_) scrolled_ = std::max(0, at - 2);
  }
  scrolled_ = std::clamp(scrolled_, 0, std::max(0, total - rows));
  buttons_.clear();
  for (int i = 0; i < rows && scrolled_ + i < total; ++i) {
    const auto& line = lines[static_cast<std::size_t>(scrolled_ + i)];
    screen.put(first_row + i, 1, line.text, line.style);
    if (line.button >= 0) buttons_.emplace_back(first_row + i, static_cast<std::size_t>(line.button));
  }
}

QuestionView::Wish QuestionView::choose() {
  const Question* const question = now();
  if (question == nullptr) return Wish::nothing;
  if (marked_ >= question->options.size()) return Wish::own_words;
  if (!question->multi_select) return say(question->options[marked_].label) ? Wish::answer : Wish::nothing;
  if (chosen_.empty()) chosen_.insert(marked_);
  std::string labels;
  for (const auto n : chosen_) labels += (labels.empty() ? "" : ", ") + question->options[n].label;
  return say(labels) ? Wish::answer : Wish::nothing;
}

bool QuestionView::say(const std::string& words) {
  if (const Question* const question = now()) answers_[question->text] = words;
  ++number_;
  marked_ = 0;
  chosen_.clear();
  return number_ >= asked_.questions.size();
}

QuestionView::Wish QuestionView::on_key(const Key& key) {
  using enum Key::Name;
  const Question* const question = now();
  if (question == nullptr || !is_open()) return Wish::other_key;
  const std::size_t last = question->options.size();
  if (key.is("j") || key.name == down || key.name == tab || key.name == wheel_down) {
    marked_ = std::min(marked_ + 1, last);
  } else if (key.is("k") || key.name == up || key.name == back_tab || key.name == wheel_up) {
    marked_ -= marked_ > 0 ? 1 : 0;
  } else if (key.name == text && !key.pasted && key.text.size() == 1 && key.text[0] >= '1' && key.text[0] <= '9') {
    const auto n = static_cast<std::size_t>(key.text[0] - '1');
    if (n >= last) return Wish::nothing;
    marked_ = n;
    if (!question->multi_select) return choose();
    if (!chosen_.insert(n).second) chosen_.erase(n);
  } else if (key.is(" ") && question->multi_select && marked_ < last) {
    if (!chosen_.insert(marked_).second) chosen_.erase(marked_);
  } else if (key.name == enter) {
    return choose();
  } else if (key.is("o")) {
    return Wish::own_words;
  } else if (key.is("x")) {
    return Wish::dismiss;
  } else if (key.name == click) {
    const auto button = std::ranges::find(buttons_, key.row, &std::pair<int, std::size_t>::first);
    if (button == buttons_.end()) return Wish::nothing;
    marked_ = button->second;
    return choose();
  } else {
    return Wish::other_key;
  }
  return Wish::nothing;
}

std::string QuestionView::command() const {
  if (asked_.questions.size() == 1 && answers_.size() == 1)
    return fmt::format("answer {} {}", asked_.task.id.str(), shell_word(answers_.begin()->second));
  return fmt::format("answer {} --json-answers ...", asked_.task.id.str());
}

}  // namespace perdure::top
