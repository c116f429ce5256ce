#pragma once

// The lines that runner and manager append to the telemetry file, one JSON object each (docs/reference/telemetry.md):
//
//   {"schema":1,"time":MS,"event":"...",...}
//
// A released field keeps its meaning; tests/surface/telemetry.json guards that.
namespace perdure::contract {

inline constexpr int kTelemetrySchema = 1;
inline constexpr char kTaskCreated[] = "background_task_created";
inline constexpr char kTaskCompleted[] = "background_task_completed";
inline constexpr char kWaitCompleted[] = "wait_for_completed";
inline constexpr char kQuestionAnswered[] = "question_answered";
inline constexpr char kQuestionDismissed[] = "question_dismissed";

}  // namespace perdure::contract
