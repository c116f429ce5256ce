#include "top/terminal/capabilities.h"

#include <curses.h>
// After curses.h, which it needs.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <term.h>
#undef back_tab
#undef tab
#include <utility>

namespace perdure::top {
namespace {

std::string text_of(const char* name) {
  const char* const found = ::tigetstr(name);
  if (found == nullptr || std::cmp_equal(reinterpret_cast<std::intptr_t>(found), -1)) return {};
  // Padding delays only matter for hardware terminals.
  std::string text;
  for (std::string_view rest = found; !rest.empty(); rest.remove_prefix(1)) {
    if (rest.starts_with("$<")) {
      const auto end = rest.find('>');
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end);
      continue;
    }
    text += rest.front();
  }
  return text;
}

std::string_view environment(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): read before any thread
  return value == nullptr ? std::string_view() : std::string_view(value);
}

Capabilities xterm() {
  return {.colours = Capabilities::Colours::palette,
          .enter = "\x1b[?1049h\x1b[22;0;0t",
          .leave = "\x1b[?1049l\x1b[23;0;0t",
          .hide = "\x1b[?25l",
          .show = "\x1b[?12l\x1b[?25h",
          .italic = true,
          .known = true,
          .keys = {}};
}

}  // namespace

Capabilities capabilities(const char* term) {
  Capabilities can = xterm();
  int error = 0;
  if (term == nullptr || ::setupterm(term, 1, &error) != OK) {
    can.known = false;
  } else {
    const int colours = ::tigetnum("colors");
    using enum Capabilities::Colours;
    can.colours = colours >= 1 << 24 ? full : colours >= 256 ? palette : colours >= 8 ? ansi : none;
    if (::tigetflag("RGB") > 0 || ::tigetflag("Tc") > 0) can.colours = full;
    can.enter = text_of("smcup");
    can.leave = text_of("rmcup");
    can.hide = text_of("civis");
    can.show = text_of("cnorm");
    can.italic = !text_of("sitm").empty();
    using enum Key::Name;
    constexpr std::array<std::pair<const char*, Key::Name>, 11> kKeys = {{{"kcuu1", up},
                                                                          {"kcud1", down},
                                                                          {"kcub1", left},
                                                                          {"kcuf1", right},
                                                                          {"khome", home},
                                                                          {"kend", end},
                                                                          {"kpp", page_up},
                                                                          {"knp", page_down},
                                                                          {"kbs", backspace},
                                                                          {"kdch1", remove},
                                                                          {"kcbt", back_tab}}};
    for (const auto& [name, key] : kKeys)
      if (auto sequence = text_of(name); sequence.size() > 1) can.keys.push_back({std::move(sequence), key});
    ::del_curterm(cur_term);
  }
  if (const auto colour = environment("COLORTERM");
      can.colours != Capabilities::Colours::none && (colour == "truecolor" || colour == "24bit"))
    can.colours = Capabilities::Colours::full;
  if (!environment("NO_COLOR").empty()) can.colours = Capabilities::Colours::none;
  return can;
}

}  // namespace perdure::top
