// Any bytes at all: what is shown of them is text that no terminal obeys, and showing it again changes nothing.

#include "base/utf8.h"
#include "view/safe_text.h"
#include "view/width.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace perdure;

void check_harmless(std::string_view text) {
  if (!is_valid_utf8(text)) std::abort();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f) std::abort();
    if (c == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0) std::abort();
  }
  for (const std::string_view bidi : {"\u202e", "\u2066", "\u200f", "\u061c"})
    if (text.find(bidi) != std::string_view::npos) std::abort();
}

void check_cut(const std::string& text, std::size_t columns) {
  const std::string fitted = view::fit_to(text, columns);
  if (view::width_of(fitted) != columns) std::abort();
  check_harmless(fitted);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string shown = view::plain_text(view::safe_line(bytes));
  check_harmless(shown);
  if (shown.size() > 40 * size + 64) std::abort();
  const std::string again = view::plain_text(view::safe_line(shown));
  if (again != shown) std::abort();
  for (const std::size_t columns : {std::size_t{0}, std::size_t{1}, std::size_t{7}, size}) check_cut(shown, columns);
  check_harmless(view::safe_words(bytes));
  return 0;
}
