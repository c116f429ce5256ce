#include "cli/text/qr.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

namespace perdure::cli {
namespace {

using Byte = std::uint8_t;
using Bytes = std::vector<Byte>;

// By version, from 1: codewords for error correction in each block of level L, and how many blocks.
constexpr std::array<int, 15> kCorrection = {7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22};
constexpr std::array<int, 15> kBlocks = {1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6};
constexpr int kMasks = 8;

int side_of(int version) {
  return 17 + 4 * version;
}

// All codewords of a version: its modules without those of the patterns.
int codewords_of(int version) {
  int modules = (16 * version + 128) * version + 64;
  if (version >= 2) {
    const int marks = version / 7 + 2;
    modules -= (25 * marks - 10) * marks - 55;
    if (version >= 7) modules -= 36;
  }
  return modules / 8;
}

int data_codewords_of(int version) {
  const auto at = static_cast<std::size_t>(version - 1);
  return codewords_of(version) - kCorrection.at(at) * kBlocks.at(at);
}

std::vector<int> alignment_places(int version) {
  if (version == 1) return {};
  const int marks = version / 7 + 2;
  const int step = (version * 8 + marks * 3 + 5) / (marks * 4 - 4) * 2;
  std::vector<int> places;
  for (int i = 0, at = side_of(version) - 7; i < marks - 1; ++i, at -= step) places.insert(places.begin(), at);
  places.insert(places.begin(), 6);
  return places;
}

// In the field of 256 elements with the polynomial x^8 + x^4 + x^3 + x^2 + 1.
Byte product(Byte a, Byte b) {
  unsigned result = 0;
  for (int i = 7; i >= 0; --i) {
    result = (result << 1U) ^ ((result >> 7U) * 0x11DU);
    if ((unsigned{b} >> static_cast<unsigned>(i) & 1U) != 0) result ^= a;
  }
  return static_cast<Byte>(result);
}

// The remainder of the data by the generator of so many codewords (Reed-Solomon).
Bytes correction_of(const Bytes& data, int count) {
  Bytes generator(static_cast<std::size_t>(count), 0);
  generator.back() = 1;
  Byte root = 1;
  for (int i = 0; i < count; ++i, root = product(root, 2))
    for (std::size_t j = 0; j < generator.size(); ++j)
      generator[j] = static_cast<Byte>(product(generator[j], root) ^ (j + 1 < generator.size() ? generator[j + 1] : 0));
  Bytes remainder(static_cast<std::size_t>(count), 0);
  for (const Byte byte : data) {
    const auto factor = static_cast<Byte>(byte ^ remainder.front());
    remainder.erase(remainder.begin());
    remainder.push_back(0);
    for (std::size_t j = 0; j < remainder.size(); ++j)
      remainder[j] = static_cast<Byte>(remainder[j] ^ product(generator[j], factor));
  }
  return remainder;
}

// Mode, length, text, end and filling: all data codewords of the version.
Bytes data_of(std::string_view text, int version) {
  std::vector<bool> bits;
  const auto add = [&](unsigned value, int count) {
    for (int i = count - 1; i >= 0; --i) bits.push_back((value >> static_cast<unsigned>(i) & 1U) != 0);
  };
  constexpr unsigned kByteMode = 4;
  add(kByteMode, 4);
  add(static_cast<unsigned>(text.size()), version < 10 ? 8 : 16);
  for (const char c : text) add(static_cast<unsigned char>(c), 8);
  const auto room = static_cast<std::size_t>(data_codewords_of(version)) * 8;
  for (int i = 0; i < 4 && bits.size() < room; ++i) bits.push_back(false);
  while (bits.size() % 8 != 0) bits.push_back(false);
  for (unsigned filling = 0xEC; bits.size() < room; filling ^= 0xECU ^ 0x11U) add(filling, 8);
  Bytes bytes(bits.size() / 8, 0);
  for (std::size_t i = 0; i < bits.size(); ++i)
    if (bits[i]) bytes[i / 8] = static_cast<Byte>(bytes[i / 8] | (0x80U >> (i % 8)));
  return bytes;
}

// Blocks, each with its correction, one codeword of each in turn. Some blocks are longer by one.
Bytes interleaved(const Bytes& data, int version) {
  const auto at = static_cast<std::size_t>(version - 1);
  const int blocks = kBlocks.at(at), correction = kCorrection.at(at);
  const int all = codewords_of(version), shorter = blocks - all % blocks, length = all / blocks - correction;
  std::vector<Bytes> parts, corrections;
  auto from = data.begin();
  for (int i = 0; i < blocks; ++i) {
    const auto to = from + length + (i < shorter ? 0 : 1);
    parts.emplace_back(from, to);
    corrections.push_back(correction_of(parts.back(), correction));
    from = to;
  }
  Bytes result;
  for (std::size_t i = 0; i <= static_cast<std::size_t>(length); ++i)
    for (const auto& part : parts)
      if (i < part.size()) result.push_back(part[i]);
  for (std::size_t i = 0; i < static_cast<std::size_t>(correction); ++i)
    for (const auto& part : corrections) result.push_back(part[i]);
  return result;
}

// The modules while they are drawn; x is the column.
class Symbol {
 public:
  explicit Symbol(int version)
      : version_(version),
        side_(side_of(version)),
        dark_(static_cast<std::size_t>(side_), std::vector<bool>(static_cast<std::size_t>(side_), false)),
        fixed_(dark_) {
    draw_patterns();
    draw_format(0);  // its places are taken before the data goes around them
    draw_version();
  }

  void place(const Bytes& codewords) {
    std::size_t bit = 0;
    for (int right = side_ - 1; right >= 1; right -= 2) {
      if (right == 6) right = 5;  // the column of the timing pattern
      const bool upward = ((right + 1) & 2) == 0;
      for (int i = 0; i < side_; ++i)
        for (int x = right; x > right - 2; --x) {
          const int y = upward ? side_ - 1 - i : i;
          if (at(fixed_, x, y) || bit >= codewords.size() * 8) continue;
          set(dark_, x, y, (unsigned{codewords[bit / 8]} >> (7 - bit % 8) & 1U) != 0);
          ++bit;
        }
    }
  }

  void mask(int which) {
    for (int y = 0; y < side_; ++y)
      for (int x = 0; x < side_; ++x)
        if (!at(fixed_, x, y) && is_turned(which, x, y)) set(dark_, x, y, !at(dark_, x, y));
    draw_format(which);
  }

  // Long runs, squares of one colour, and how far from half and half: the mask with the least of it is taken.
  [[nodiscard]] int penalty() const {
    int sum = 0, darks = 0;
    for (int y = 0; y < side_; ++y)
      for (int turned = 0; turned < 2; ++turned) {
        int run = 0;
        bool last = false;
        for (int x = 0; x < side_; ++x) {
          const bool one = turned != 0 ? at(dark_, y, x) : at(dark_, x, y);
          run = x > 0 && one == last ? run + 1 : 1;
          last = one;
          if (run == 5) sum += 3;
          if (run > 5) ++sum;
        }
      }
    for (int y = 0; y < side_; ++y)
      for (int x = 0; x < side_; ++x) {
        darks += at(dark_, x, y) ? 1 : 0;
        if (x + 1 < side_ && y + 1 < side_ && at(dark_, x, y) == at(dark_, x + 1, y) &&
            at(dark_, x, y) == at(dark_, x, y + 1) && at(dark_, x, y) == at(dark_, x + 1, y + 1))
          sum += 3;
      }
    return sum + std::abs(darks * 20 / (side_ * side_) - 10) * 10;
  }

  [[nodiscard]] const std::vector<std::vector<bool>>& modules() const { return dark_; }

 private:
  using Modules = std::vector<std::vector<bool>>;

  static bool at(const Modules& modules, int x, int y) {
    return modules[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)];
  }
  static void set(Modules& modules, int x, int y, bool value) {
    modules[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)] = value;
  }
  void fix(int x, int y, bool dark) {
    if (x < 0 || y < 0 || x >= side_ || y >= side_) return;
    set(dark_, x, y, dark);
    set(fixed_, x, y, true);
  }

  static bool is_turned(int which, int x, int y) {
    switch (which) {
      case 0: return (x + y) % 2 == 0;
      case 1: return y % 2 == 0;
      case 2: return x % 3 == 0;
      case 3: return (x + y) % 3 == 0;
      case 4: return (x / 3 + y / 2) % 2 == 0;
      case 5: return x * y % 2 + x * y % 3 == 0;
      case 6: return (x * y % 2 + x * y % 3) % 2 == 0;
      default: return ((x + y) % 2 + x * y % 3) % 2 == 0;
    }
  }

  void draw_patterns() {
    for (int i = 0; i < side_; ++i) {
      fix(6, i, i % 2 == 0);
      fix(i, 6, i % 2 == 0);
    }
    for (const auto& [x, y] : {std::pair(3, 3), std::pair(side_ - 4, 3), std::pair(3, side_ - 4)})
      for (int dy = -4; dy <= 4; ++dy)
        for (int dx = -4; dx <= 4; ++dx) {
          const int ring = std::max(std::abs(dx), std::abs(dy));
          fix(x + dx, y + dy, ring != 2 && ring != 4);
        }
    const auto places = alignment_places(version_);
    for (const int y : places)
      for (const int x : places) {
        const int last = places.back();
        if ((x == 6 && (y == 6 || y == last)) || (x == last && y == 6)) continue;  // a finder pattern is there
        for (int dy = -2; dy <= 2; ++dy)
          for (int dx = -2; dx <= 2; ++dx) fix(x + dx, y + dy, std::max(std::abs(dx), std::abs(dy)) != 1);
      }
  }

  void draw_format(int which) {
    constexpr unsigned kLevelL = 1;
    const unsigned data = kLevelL << 3U | static_cast<unsigned>(which);
    unsigned rest = data;
    for (int i = 0; i < 10; ++i) rest = (rest << 1U) ^ ((rest >> 9U) * 0x537U);
    const unsigned bits = (data << 10U | rest) ^ 0x5412U;
    const auto bit = [bits](int i) { return (bits >> static_cast<unsigned>(i) & 1U) != 0; };
    for (int i = 0; i <= 5; ++i) fix(8, i, bit(i));
    fix(8, 7, bit(6));
    fix(8, 8, bit(7));
    fix(7, 8, bit(8));
    for (int i = 9; i < 15; ++i) fix(14 - i, 8, bit(i));
    for (int i = 0; i < 8; ++i) fix(side_ - 1 - i, 8, bit(i));
    for (int i = 8; i < 15; ++i) fix(8, side_ - 15 + i, bit(i));
    fix(8, side_ - 8, true);
  }

  void draw_version() {
    if (version_ < 7) return;
    auto rest = static_cast<unsigned>(version_);
    for (int i = 0; i < 12; ++i) rest = (rest << 1U) ^ ((rest >> 11U) * 0x1F25U);
    const unsigned bits = static_cast<unsigned>(version_) << 12U | rest;
    for (int i = 0; i < 18; ++i) {
      const bool dark = (bits >> static_cast<unsigned>(i) & 1U) != 0;
      fix(side_ - 11 + i % 3, i / 3, dark);
      fix(i / 3, side_ - 11 + i % 3, dark);
    }
  }

  int version_, side_;
  Modules dark_, fixed_;
};

}  // namespace

std::optional<std::vector<std::vector<bool>>> qr_code(std::string_view text) {
  int version = 1;
  const auto fits = [&] {
    const std::size_t bits = 4 + (version < 10 ? 8U : 16U) + 8 * text.size();
    return bits <= static_cast<std::size_t>(data_codewords_of(version)) * 8;
  };
  while (version <= static_cast<int>(kBlocks.size()) && !fits()) ++version;
  if (version > static_cast<int>(kBlocks.size())) return std::nullopt;
  Symbol plain(version);
  plain.place(interleaved(data_of(text, version), version));
  std::optional<Symbol> best;
  for (int which = 0; which < kMasks; ++which) {
    Symbol one = plain;
    one.mask(which);
    if (!best || one.penalty() < best->penalty()) best = std::move(one);
  }
  return best->modules();
}

std::optional<std::vector<std::string>> qr_lines(std::string_view text, bool colours) {
  constexpr int kQuiet = 4;
  const auto code = qr_code(text);
  if (!code) return std::nullopt;
  const int side = static_cast<int>(code->size());
  const auto is_light = [&](int x, int y) {
    if (x < 0 || y < 0 || x >= side || y >= side) return true;
    return !(*code)[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)];
  };
  std::vector<std::string> lines;
  for (int y = -kQuiet; y < side + kQuiet; y += 2) {
    std::string line = colours ? "\x1b[97;40m" : "";
    for (int x = -kQuiet; x < side + kQuiet; ++x) {
      const bool upper = is_light(x, y), lower = is_light(x, y + 1);
      line += upper && lower ? "█" : upper ? "▀" : lower ? "▄" : " ";
    }
    lines.push_back(line + (colours ? "\x1b[0m" : ""));
  }
  return lines;
}

}  // namespace perdure::cli
