#pragma once

// What runner and manager both write into the file for telemetry, a JSON object a line (docs/reference/telemetry.md):
//
//   {"schema":1,"time":MS,"event":"...",...}
//
// A field that was shipped keeps its meaning; tests/surface/telemetry.json holds them to that.
namespace perdure::contract {

inline constexpr int kTelemetrySchema = 1;
inline constexpr char kTaskCreated[] = "background_task_created";
inline constexpr char kTaskCompleted[] = "background_task_completed";
inline constexpr char kWaitCompleted[] = "wait_for_completed";
inline constexpr char kQuestionAnswered[] = "question_answered";
inline constexpr char kQuestionDismissed[] = "question_dismissed";

}  // namespace perdure::contract
