#include "web/metrics/metrics.h"

#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/verbs/verbs.h"
#include "web/service/service.h"

namespace perdure::cli {
namespace {

constexpr Option kMetricsOptions[] = {
    {"--openmetrics", nullptr, "in the format of OpenMetrics 1.0"},
};

Result<int> run_metrics(Call& call) {
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  auto text =
      web::metrics_of(**manager, web::session_id((*manager)->session()),
                      call.has("--openmetrics") ? web::MetricsFormat::openmetrics : web::MetricsFormat::prometheus);
  if (!text) return std::unexpected(text.error());
  put(*text);
  return 0;
}

}  // namespace

const Verb kMetricsVerb{"metrics", "", "numbers about the session, once, in the text format of Prometheus",
                        kMetricsOptions, run_metrics};

}  // namespace perdure::cli
