#include "cli/text/roff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

namespace perdure::cli {
namespace {

// Escapes every character that roff would interpret or print as another one.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '\\': out += "\\e"; break;
      case '-': out += "\\-"; break;
      case '\'': out += "\\(aq"; break;
      case '`': out += "\\(ga"; break;
      case '^': out += "\\(ha"; break;
      case '~': out += "\\(ti"; break;
      case '"': out += "\\(dq"; break;
      default: out += c;
    }
  }
  return out.starts_with('.') ? "\\&" + out : out;
}

// Literal text, with `code` in bold, in lines of less than 80 characters.
std::string filled(std::string_view text) {
  constexpr std::size_t kWidth = 78;
  std::string out;
  std::size_t column = 0;
  bool is_code = false;
  while (!text.empty()) {
    std::string word;
    std::string_view plain = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), plain.size() + 1));
    while (true) {
      const auto tick = plain.find('`');
      word += escaped(plain.substr(0, tick));
      if (tick == std::string_view::npos) break;
      is_code = !is_code;
      word += is_code ? "\\fB" : "\\fR";
      plain.remove_prefix(tick + 1);
    }
    const bool fits = column + 1 + word.size() <= kWidth;
    if (column > 0) out += fits ? ' ' : '\n';
    column = column > 0 && fits ? column + 1 + word.size() : word.size();
    out += word;
  }
  return out + "\n";
}

}  // namespace

Roff::Roff(std::string_view name, int section, std::string_view date, std::string_view manual) {
  std::string upper(name);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  page_ = fmt::format(
      ".\\\" Printed by `perdure __man`; not written by hand.\n.TH {} {} \"{}\" \"perdure {}\" \"{}\"\n.nh\n.ad l\n",
      escaped(upper), section, date, PERDURE_VERSION, manual);
}

void Roff::heading(std::string_view title) {
  page_ += fmt::format(".SH \"{}\"\n", escaped(title));
  is_first_ = true;
}

void Roff::subheading(std::string_view title) {
  page_ += fmt::format(".SS \"{}\"\n", escaped(title));
  is_first_ = true;
}

void Roff::paragraph(std::string_view text) {
  page_ += (is_first_ ? "" : ".PP\n") + filled(text);
  is_first_ = false;
}

void Roff::item(std::string_view term, std::string_view text) {
  page_ += fmt::format(".TP\n{}\n{}", term, filled(text));
  is_first_ = false;
}

void Roff::example(std::string_view lines) {
  page_ += is_first_ ? "" : ".PP\n";
  is_first_ = false;
  page_ += ".RS 4\n.nf\n";
  while (!lines.empty()) {
    const auto line = lines.substr(0, lines.find('\n'));
    page_ += escaped(line) + "\n";
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
  }
  page_ += ".fi\n.RE\n";
}

std::string Roff::bold(std::string_view text) {
  return "\\fB" + escaped(text) + "\\fR";
}

std::string Roff::italic(std::string_view text) {
  return "\\fI" + escaped(text) + "\\fR";
}

}  // namespace perdure::cli
