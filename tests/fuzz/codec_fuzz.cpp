// Any bytes at all: they are refused with a reason, or they are a task that survives being written and read again.

#include "codec/record.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace perdure;

void check(const Task& task) {
  const std::string written = codec::encode(task);
  if (written.size() > codec::kMaxRecordBytes || !task.id.has_record_form()) return;
  const auto again = codec::decode(written, task.id.str());
  if (!again || codec::encode(*again) != written) std::abort();
  if (again->status != task.status || again->kind != task.kind || again->process.exit_code != task.process.exit_code)
    std::abort();
}

// The id that the text itself names, so that most inputs get past the comparison with the file's name.
std::string_view stem_in(std::string_view text) {
  for (const std::string_view key : {"\"taskId\":\"", "\"task_id\":\"", "\"id\":\""}) {
    const auto at = text.find(key);
    if (at == std::string_view::npos) continue;
    text.remove_prefix(at + key.size());
    return text.substr(0, text.find('"'));
  }
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto stem = stem_in(text);
  if (const auto task = codec::decode(text, stem)) check(*task);
  // The two files of the oldest shape, divided at the first line end.
  const auto cut = text.find('\n');
  const auto runtime = cut == std::string_view::npos ? std::nullopt : std::optional(text.substr(cut + 1));
  if (const auto task = codec::decode_kimi_cli({.spec = text.substr(0, cut), .runtime = runtime}, stem)) check(*task);
  return 0;
}
