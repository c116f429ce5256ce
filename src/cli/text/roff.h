#pragma once

#include <string>
#include <string_view>
#include <utility>

// Builds a man page. Pure; no I/O.
namespace perdure::cli {

/// Text is literal, whatever it contains; `code` in it becomes bold.
class Roff {
 public:
  /// `date` for display, "" for none.
  Roff(std::string_view name, int section, std::string_view date, std::string_view manual);

  void heading(std::string_view title);
  void subheading(std::string_view title);
  void paragraph(std::string_view text);
  /// A term and its explanation. The term is roff already: bold() and italic() make it.
  void item(std::string_view term, std::string_view text);
  /// Lines as they are, indented.
  void example(std::string_view lines);

  [[nodiscard]] static std::string bold(std::string_view text);
  [[nodiscard]] static std::string italic(std::string_view text);

  [[nodiscard]] std::string take() && { return std::move(page_); }

 private:
  std::string page_;
  bool is_first_ = true;  // of its section: roff begins a paragraph there by itself
};

}  // namespace perdure::cli
