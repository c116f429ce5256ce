#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/verbs/verbs.h"
#include "config/config_keys.h"
#include "manager/link/program.h"

#include <fmt/format.h>

#ifndef PERDURE_VERSION
#error "PERDURE_VERSION is set by the build"
#endif

namespace perdure::cli {
namespace {

Result<int> version(Call& call) {
  put_line(call.json ? "{\"version\":\"" PERDURE_VERSION "\"}" : "perdure " PERDURE_VERSION);
  return 0;
}

}  // namespace

const Verb kVersionVerb{"version", "", "the version of this program", {}, version};

}  // namespace perdure::cli
