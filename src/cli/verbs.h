#pragma once

#include "cli/call.h"

// Every verb, in the order of the help. A new one is a file and a line here.
namespace perdure::cli {

extern const Verb kRunVerb, kListVerb, kShowVerb, kOutputVerb, kWaitVerb, kStopVerb, kCloseVerb, kDetachVerb,
    kSignalVerb, kReconcileVerb, kNotificationsVerb, kEventsVerb, kDoctorVerb, kRemoveVerb, kGcVerb, kConfigVerb,
    kVersionVerb, kCompletionVerb, kIdsVerb, kHookVerb, kExtendVerb, kWriteVerb, kSweepVerb;

}  // namespace perdure::cli
