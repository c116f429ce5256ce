#include "runner/record/telemetry.h"

#include "contract/telemetry.h"
#include "runner/os/text.h"

namespace runner {

using namespace perdure::contract;

namespace {

using Line = Text<512>;

// The part of an id before its last eight characters.
std::string_view kind_of(std::string_view task_id) {
  const std::string_view prefix = first(task_id, task_id.rfind('-'));
  return prefix == "agent" || prefix == "question" ? prefix : "bash";
}

Line begin(const char* event, std::string_view task_id) {
  Line line;
  line << R"({"schema":)" << long{kTelemetrySchema} << R"(,"time":)" << sys::now_ms() << R"(,"event":")" << event
       << R"(","task_id":")" << task_id << R"(","kind":")" << kind_of(task_id) << "\"";
  return line;
}

void append(const char* path, Line& line) {
  line << "}\n";
  // Without waiting for the reader of a FIFO. A single write, so that lines of several processes are not mixed.
  const Fd file(sys::open_at(AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY));
  if (file) sys::write(file.get(), line.c_str(), line.view().size());
}

}  // namespace

void report_created(const char* path, std::string_view task_id) {
  if (*path == '\0') return;
  Line line = begin(kTaskCreated, task_id);
  append(path, line);
}

void report_completed(const char* path, std::string_view task_id, const Facts& facts) {
  if (*path == '\0' || !facts.detached) return;
  Line line = begin(kTaskCompleted, task_id);
  line << R"(,"status":")" << facts.status << "\"";
  const long ms = facts.ended_ms - facts.started_ms;
  if (ms < 0) {  // the clock was set back
    line << R"(,"duration_s":null,"duration_ms":null)";
  } else {
    const long thousandths = ms % 1000;
    line << R"(,"duration_s":)" << ms / 1000
         << (thousandths < 10    ? ".00"
             : thousandths < 100 ? ".0"
                                 : ".")
         << thousandths << R"(,"duration_ms":)" << ms;
  }
  append(path, line);
}

}  // namespace runner
