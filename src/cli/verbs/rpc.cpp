#include "base/error.h"
#include "base/files.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/start/sweep.h"
#include "cli/verbs/verbs.h"
#include "rpc/server/server.h"

#include <unistd.h>

#include <fmt/format.h>

#include <cstdlib>

namespace perdure::cli {
namespace {

constexpr Option kRpcOptions[] = {
    {"--socket", nullptr, "serve a Unix socket at PATH, or the usual one, instead of standard input and output"},
    {"--schema", nullptr, "print every method and type as JSON, and serve nothing"},
};

Result<std::string> socket_path(const Call& call) {
  if (!call.arguments.empty()) return call.arguments.front();
  auto runtime = environment("XDG_RUNTIME_DIR");
  auto folder =
      runtime && runtime->starts_with('/') ? Result<std::string>(*runtime + "/perdure") : Call::state_folder();
  if (!folder) return folder;
  if (auto made = make_folders(*folder); !made) return std::unexpected(made.error());
  return *folder + "/rpc.sock";
}

Result<int> run_rpc(Call& call) {
  if (call.has("--schema")) {
    put_line(rpc::schema());
    return 0;
  }
  if (call.arguments.size() > (call.has("--socket") ? 1U : 0U))
    return fail(ErrorCode::usage, fmt::format("rpc: '{}' is not expected here", call.arguments.back()));
  auto session = call.session_path();
  auto state = Call::state_folder();
  if (!session) return std::unexpected(session.error());
  // A client that names another session is told of what is wrong with its configuration by `initialize`.
  const auto config = load_config(*session);
  const rpc::Options options{.session = *session,
                             .state_folder = state.value_or(""),
                             .sessions = config ? config->rpc_sessions.value : std::vector<std::string>(),
                             .foreign = Call::foreign_folders(),
                             .on_start = [](TaskManager& manager, const Config& its_config) {
                               if (its_config.retention_auto.value) sweep_in_background(manager);
                             }};
  if (!call.has("--socket")) {
    // Does not wait for threads that still work for a client that has disconnected (V32).
    if (!rpc::serve_stdio(options, STDIN_FILENO, STDOUT_FILENO)) std::_Exit(0);
    return 0;
  }
  auto path = socket_path(call);
  if (!path) return std::unexpected(path.error());
  // Before any thread is created: all of them inherit the mask.
  const Interrupts interrupts;
  if (auto served = rpc::serve_socket(options, *path, interrupts.fd(),
                                      [&] { note(fmt::format("perdure: serving JSON-RPC at {}", *path)); });
      !served)
    return std::unexpected(served.error());
  return 0;
}

}  // namespace

const Verb kRpcVerb{"rpc", "[PATH]", "serve JSON-RPC, for the SDKs: on standard input and output, or a Unix socket",
                    kRpcOptions, run_rpc};

}  // namespace perdure::cli
