#pragma once

// Marks where output was dropped (L24). While the task runs, the tail is in segments `tail.<offset>`, named by the
// offset of their first byte in the stream; at the end they follow a marker in output.log.
namespace perdure::contract {

inline constexpr char kTailPrefix[] = "tail.";
inline constexpr int kMostSegments = 24;
inline constexpr char kMarkerBefore[] = "\n[perdure: ";
inline constexpr char kMarkerBehind[] = " bytes dropped here]\n";

}  // namespace perdure::contract
