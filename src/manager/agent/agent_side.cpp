#include "manager/agent/agent_side.h"

#include "base/error.h"
#include "base/json_writer.h"
#include "base/try.h"
#include "base/utf8.h"
#include "codec/ascii.h"
#include "codec/record.h"
#include "contract/control.h"
#include "contract/names.h"
#include "manager/status/wait_cycle.h"
#include "manager/status/waiting.h"
#include "store/agent.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>

namespace perdure::manager {
namespace {

constexpr std::size_t kMostReason = 1'000;  // escaped, up to six times as long; runner.lock has room for no more

// One line, cut to what fits: an agent's error message may be a whole page.
std::string reason_line(const std::string& reason) {
  std::string line = to_plain_text(reason, false);
  if (line.find_first_not_of(' ') == std::string::npos) return "The turn failed, and the agent did not say why";
  std::string escaped = codec::in_ascii(json_escaped(line));
  while (escaped.size() > static_cast<std::size_t>(contract::kMaxReasonBytes)) {
    line.resize(std::min(line.size() / 2, kMostReason));
    line.resize(line.size() - incomplete_suffix(line));
    escaped = codec::in_ascii(json_escaped(line + "..."));
  }
  return escaped;
}

}  // namespace

Result<AgentSide> AgentSide::open(const std::string& path) {
  store::Session session(path);
  auto task = task_inside(session);
  if (!task)
    return fail(ErrorCode::usage,
                fmt::format("this process is not part of a subagent's task in {}: start one with `perdure agent`",
                            session.path()));
  TRY(auto json, store::read_plan(session, *task));
  auto plan = codec::decode_plan(json);
  if (!plan)
    return fail(ErrorCode::record_invalid,
                fmt::format("{}/{}: {}", session.folder_path(*task), contract::kAgentFile, plan.error().message));
  TRY(auto runner, RunnerClient::connect(session, *task));
  if (!runner) return fail(ErrorCode::task_not_running, fmt::format("{} has no runner any more", task->str()));
  return AgentSide(std::move(session), std::move(*task), std::move(*plan), std::move(*runner));
}

Result<Fd> AgentSide::open_activity() const {
  return store::append_activity(session_, task_);
}

Result<bool> AgentSide::tell(const std::string& line) {
  if (!runner_.send(line)) return false;
  const auto answer = runner_.receive(-1);  // it comes after a commit, which takes as long as the disk does
  if (!answer || *answer == contract::kNo) return false;
  if (*answer == contract::kOk) return true;
  int error = EIO;
  const std::string_view number = std::string_view(*answer).substr(std::min(answer->size(), sizeof contract::kError));
  std::from_chars(number.data(), number.data() + number.size(), error);
  return fail_os(error, "writing the record of", task_.str());
}

Result<bool> AgentSide::note(const codec::AgentNote& note) {
  const std::string members = codec::note_members(note);
  if (members.size() > static_cast<std::size_t>(contract::kMaxNoteBytes))
    return fail(ErrorCode::usage,
                fmt::format("the agent's session id and model take {} bytes, more than the {} of a record",
                            members.size(), contract::kMaxNoteBytes));
  if (members.empty()) return true;
  return tell(fmt::format("{} {}", contract::kNote, members));
}

Result<bool> AgentSide::completed() {
  return tell(fmt::format("{} {} ", contract::kOutcome, contract::kTurnCompleted));
}

Result<bool> AgentSide::failed(const std::string& reason) {
  return tell(fmt::format("{} {} {}", contract::kOutcome, contract::kTurnFailed, reason_line(reason)));
}

Result<bool> AgentSide::broke(const std::string& reason) {
  return tell(fmt::format("{} {} {}", contract::kOutcome, contract::kTurnBroke, reason_line(reason)));
}

}  // namespace perdure::manager
