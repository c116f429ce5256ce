#pragma once

#include <perdure/export.h>

#include <string>
#include <string_view>

namespace perdure {

/// Takes what an embedding program wants to know of its tasks, for its own statistics (docs/reference/telemetry.md). Nothing is
/// sent anywhere by Perdure, and nothing is recorded unless it is configured.
class PERDURE_API TelemetrySink {
 public:
  virtual ~TelemetrySink();

  /// `event` is its name, `line` all of it as one JSON object without a line end. Called by whichever thread noticed
  /// it, possibly by several at once, with no lock held. What it throws is dropped.
  virtual void record(std::string_view event, std::string_view line) = 0;
};

/// A line for each event at the end of a file, in one write, so that any number of processes may share the file.
class PERDURE_API JsonlSink : public TelemetrySink {
 public:
  /// The file is made by the first event, 0600, and opened anew for each, so it may be moved away at any time.
  explicit JsonlSink(std::string path);
  void record(std::string_view event, std::string_view line) override;

 private:
  std::string path_;
};

}  // namespace perdure
