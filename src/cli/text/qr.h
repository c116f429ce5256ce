#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace perdure::cli {

/// A QR code (ISO/IEC 18004, byte mode, error correction level L), row by row; true: dark. Absent: more than fits into
/// version 15, which is 520 bytes.
[[nodiscard]] std::optional<std::vector<std::vector<bool>>> qr_code(std::string_view text);

/// The lines of a QR code with its quiet zone, two rows of modules a line. `colours`: dark on light whatever the terminal's
/// colours are; else the light modules are drawn.
[[nodiscard]] std::optional<std::vector<std::string>> qr_lines(std::string_view text, bool colours);

}  // namespace perdure::cli
