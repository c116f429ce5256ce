#include "cli/call.h"
#include "cli/verbs.h"
#include "mcp/stdio.h"

#include <unistd.h>

namespace perdure::cli {
namespace {

constexpr Option kOptions[] = {
    {"--owner", "O", "owner of every task (default: the client's name and the project's folder)"},
};

Result<int> run(Call& call) {
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  mcp::Service service(**manager, {.owner = call.value("--owner")});
  mcp::Server server(service, nullptr);
  mcp::serve_stdio(server, STDIN_FILENO, STDOUT_FILENO);
  return 0;
}

}  // namespace

const Verb kMcpVerb{"mcp", "", "serve the Model Context Protocol on standard input and output", kOptions, run};

}  // namespace perdure::cli
