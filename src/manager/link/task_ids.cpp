#include "manager/link/task_ids.h"

#include "base/error.h"
#include "base/try.h"

#include <sys/random.h>

namespace perdure::manager {
namespace {

constexpr std::size_t kMaxDescription = 80;

Result<TaskId> make_id(std::string_view prefix) {
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";
  unsigned char random[8];
  if (::getrandom(random, sizeof random, 0) != sizeof random)
    return std::unexpected(fail_errno("reading", "random bytes").error());
  std::string text(prefix);
  for (const unsigned char byte : random) text += kDigits[byte % kDigits.size()];
  return TaskId::parse(text);
}

}  // namespace

Result<TaskId> claim_id(const store::Session& session, std::string_view prefix) {
  while (true) {
    auto id = make_id(prefix);
    if (!id) return id;
    TRY(auto claimed, session.claim(*id));
    if (claimed) return id;
  }
}

std::string first_line_of(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  if (line.size() <= kMaxDescription) return line;
  std::size_t end = kMaxDescription;
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80U) --end;  // never within a character
  return line.substr(0, end) + "...";
}

}  // namespace perdure::manager
