#include "base/utf8.h"
#include "rpc/methods/methods.h"
#include <perdure/executor.h>

// executors.list
namespace perdure::rpc {
namespace {

Reply list_executors(Request& request) {
  json::array executors;
  for (const auto& [name, executor] : request.client.place->config().executors)
    executors.push_back(json::object{{"name", name},
                                     {"type", name_of(executor.type)},
                                     {"place", to_valid_utf8(described_place(executor))},
                                     {"trusted", executor.untrusted.empty()}});
  return json::object{{"executors", std::move(executors)}};
}

constexpr Field kExecutorsResult[] = {{"executors", "Executor[]", "by name", true}};

constexpr Method kExecutorMethods[] = {
    {.name = "executors.list",
     .help = "Where tasks can run besides this machine. Contacts none of them.",
     .result = kExecutorsResult,
     .handle = list_executors},
};

}  // namespace

std::span<const Method> executor_methods() {
  return kExecutorMethods;
}

}  // namespace perdure::rpc
