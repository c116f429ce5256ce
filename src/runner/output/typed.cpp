#include "runner/output/typed.h"

#include "runner/os/text.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace runner {

using namespace perdure::contract;

namespace {

unsigned char value_of_digit(char c) {
  return static_cast<unsigned char>(c <= '9' ? c - '0' : c - 'a' + 10);
}

}  // namespace

Typed::~Typed() {
  std::free(writes_);
}

Typed::Write* Typed::find(std::string_view id) const {
  for (int i = 0; i < count_; ++i)
    if (id == std::string_view(writes_[i].id, sizeof writes_[i].id)) return &writes_[i];
  return nullptr;
}

Typed::Write* Typed::remember(const request::Type& wanted) {
  if (writes_ == nullptr) writes_ = static_cast<Write*>(std::calloc(kRememberedWrites, sizeof(Write)));
  if (writes_ == nullptr) return nullptr;
  Write* const write = &writes_[next_];
  next_ = (next_ + 1) % kRememberedWrites;
  if (count_ < kRememberedWrites) ++count_;
  std::memcpy(write->id, wanted.id.data(), sizeof write->id);
  std::memcpy(write->sum, wanted.sum.data(), sizeof write->sum);
  write->bytes = 0;
  return write;
}

void Typed::answer(Control& control, int client, const request::Type& wanted, const Stdio& stdio) {
  Write* write = find(wanted.id);
  if (write != nullptr && wanted.sum != std::string_view(write->sum, sizeof write->sum))
    return control.answer(client, kDiffers);
  // Of two who repeat the same write one may be ahead: the other goes on from there.
  if (write == nullptr || wanted.offset == write->bytes) {
    if (write == nullptr && wanted.offset != 0) return control.answer(client, kForgotten);
    std::string_view why;
    const Fd input = stdio.open_input(why);
    if (!why.empty()) return control.answer(client, why);
    if (!input) return control.answer_result(client, input.get());
    if (write == nullptr) write = remember(wanted);
    if (write == nullptr) return control.answer_result(client, -ENOMEM);
    unsigned char bytes[kMaxTyped];
    unsigned long size = 0;
    for (; 2 * size < wanted.hex.size(); ++size)
      bytes[size] = static_cast<unsigned char>(value_of_digit(wanted.hex[2 * size]) << 4U |
                                               value_of_digit(wanted.hex[2 * size + 1]));
    const long n = sys::write(input.get(), bytes, size);
    if (n < 0 && n != -EAGAIN && n != -EINTR) return control.answer_result(client, static_cast<int>(n));
    if (n > 0) write->bytes += n;
  } else if (wanted.offset > write->bytes) {
    return control.answer_result(client, -EINVAL);
  }
  control.answer(client, (Text<32>() << kTyped << " " << write->bytes).view());
}

}  // namespace runner
