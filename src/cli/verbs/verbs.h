#pragma once

#include "cli/console/call.h"

// Every verb, in the order of the help. A new one is a file and a line here.
namespace perdure::cli {

extern const Verb kRunVerb;
extern const Verb kRerunVerb;
extern const Verb kEditVerb;
extern const Verb kAgentVerb;
extern const Verb kAgentsVerb;
extern const Verb kAskVerb;
extern const Verb kAnswerVerb;
extern const Verb kListVerb;
extern const Verb kShowVerb;
extern const Verb kOutputVerb;
extern const Verb kTopVerb;
extern const Verb kAttachVerb;
extern const Verb kWaitVerb;
extern const Verb kStopVerb;
extern const Verb kCloseVerb;
extern const Verb kDetachVerb;
extern const Verb kExtendVerb;
extern const Verb kWriteVerb;
extern const Verb kSignalVerb;
extern const Verb kReconcileVerb;
extern const Verb kNotificationsVerb;
extern const Verb kEventsVerb;
extern const Verb kDoctorVerb;
extern const Verb kRemoveVerb;
extern const Verb kGcVerb;
extern const Verb kSetupVerb;
extern const Verb kMcpVerb;
extern const Verb kRpcVerb;
extern const Verb kWebVerb;
extern const Verb kMetricsVerb;
extern const Verb kExecutorsVerb;
extern const Verb kMirrorVerb;
extern const Verb kHookVerb;
extern const Verb kConfigVerb;
extern const Verb kVersionVerb;
extern const Verb kCompletionVerb;
extern const Verb kAcpDriveVerb;
extern const Verb kAgentNamesVerb;
extern const Verb kIdsVerb;
extern const Verb kManVerb;
extern const Verb kSweepVerb;

}  // namespace perdure::cli
