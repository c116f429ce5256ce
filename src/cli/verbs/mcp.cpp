#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/integrations/mcp_install.h"
#include "cli/start/sweep.h"
#include "cli/verbs/verbs.h"
#include "fixtures/fixtures.h"
#include "http/guard.h"
#include "mcp/http/http_service.h"
#include "mcp/session/stdio.h"

#include <unistd.h>

#include <fmt/format.h>

namespace perdure::cli {
namespace {

constexpr Option kMcpOptions[] = {
    {"--http", "ADDRESS:PORT", "serve HTTP there instead, as 127.0.0.1:8808; port 0 takes any that is free"},
    {"--owner", "O", "owner of every task (default: the client's name and the project's folder)"},
    {"--write", nullptr, "install: put it into the client's configuration, instead of printing it"},
    {.names = "--conformance-fixtures", .value = nullptr, .help = "what the conformance suite wants", .hidden = true},
    {.names = "--no-auth", .value = nullptr, .help = "HTTP without a token, for tests", .hidden = true},
};

Result<std::optional<std::string>> token_for(const Call& call, const http::Endpoint& endpoint) {
  if (call.has("--no-auth")) {
    if (!endpoint.is_loopback()) return fail(ErrorCode::usage, "--no-auth: only on a loopback address");
    return std::nullopt;
  }
  auto folder = call.state_folder();
  if (!folder) return std::unexpected(folder.error());
  auto token = http::load_or_make_token(*folder, "http-token");
  if (!token) return std::unexpected(token.error());
  const std::string path = *folder + "/http-token";
  note(token->is_new ? fmt::format("perdure: made a token, kept in {}: {}", path, token->text)
                     : fmt::format("perdure: the token is in {}", path));
  return token->text;
}

Result<int> serve_http(Call& call, mcp::Server& server, const std::string& where) {
  auto endpoint = http::Endpoint::parse(where);
  if (!endpoint) return fail(ErrorCode::usage, fmt::format("--http: {}", endpoint.error().message));
  auto token = token_for(call, *endpoint);
  if (!token) return std::unexpected(token.error());
  auto listener = http::Listener::open(*endpoint);
  if (!listener) return std::unexpected(listener.error());
  // Before any thread is created: all of them inherit the mask.
  const Interrupts interrupts;
  mcp::HttpService service(server, http::Guard(listener->endpoint(), std::move(*token)));
  note(fmt::format("perdure: serving MCP at http://{}/mcp", listener->endpoint().text()));
  listener->serve(service, {}, interrupts.fd());
  service.end();
  return 0;
}

Result<int> run_mcp(Call& call) {
  if (!call.arguments.empty()) {
    if (call.arguments.front() == "install") return install_mcp(call);
    return fail(ErrorCode::usage, fmt::format("mcp: '{}' is not expected here", call.arguments.front()));
  }
  if (call.has("--write")) return fail(ErrorCode::usage, "--write: is for `perdure mcp install`");
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  auto config = call.config();
  if (!config) return std::unexpected(config.error());
  const auto timeout = std::chrono::duration_cast<std::chrono::seconds>((*config)->bash_task_timeout.value);
  mcp::ServiceOptions options{.owner = call.value("--owner"), .background_timeout = timeout};
  options.start = default_start(**config);
  for (const auto& [name, agent] : (*config)->agents) options.configured_agents.push_back(name);
  options.moves_to_background = (*config)->bash_auto_background_on_timeout.value;
  // At each start of a task, not only at the server's start: the server may run for weeks.
  if ((*config)->retention_auto.value) options.on_start = [&tasks = **manager] { sweep_in_background(tasks); };
  // Errors are ignored: doctor reports queued tasks that can't be restarted.
  static_cast<void>((*manager)->upkeep().restart_queue());
  mcp::Service service(**manager, std::move(options));
  fixtures::Fixtures fixtures;
  mcp::Server server(service, call.has("--conformance-fixtures") ? &fixtures : nullptr);
  Result<int> status = 0;
  if (const auto where = call.value("--http")) {
    status = serve_http(call, server, *where);
  } else {
    mcp::serve_stdio(server, STDIN_FILENO, STDOUT_FILENO);
  }
  if (!(*config)->keep_alive_on_exit.value) service.stop_started();
  return status;
}

}  // namespace

const Verb kMcpVerb{"mcp", "[install CLIENT]",
                    "serve the Model Context Protocol, on standard input and output or over HTTP", kMcpOptions,
                    run_mcp};

}  // namespace perdure::cli
