#include "rpc/methods/methods.h"
#include "rpc/server/connection.h"
#include "rpc/server/read_lines.h"
#include "rpc/server/server.h"

namespace perdure::rpc {
namespace {}  // namespace

void read_lines(Connection& connection, int input, int stop_fd) {
  constexpr std::size_t kLongestLine = 16 << 20;
  jsonrpc::LineReader reader(input, kLongestLine, stop_fd);
  std::string line;
  while (true) {
    const auto got = reader.next(line);
    if (got == jsonrpc::LineReader::Got::end) return;
    if (got == jsonrpc::LineReader::Got::too_long) {
      connection.refuse({{jsonrpc::kInvalidRequest, "Invalid request: the line is longer than 16 MiB"}});
    } else if (!line.empty()) {
      connection.take(line);
    }
  }
}

bool serve_stdio(const Options& options, int input, int output) {
  Places places;
  auto connection = std::make_unique<Connection>(options, places, output);
  read_lines(*connection, input, -1);
  const bool done = connection->end(kPatience);
  // Its threads still use it.
  if (!done) static_cast<void>(connection.release());
  return done;
}

std::string schema() {
  return schema_json();
}

}  // namespace perdure::rpc
