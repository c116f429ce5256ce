#pragma once

#include "base/error.h"

#include <functional>
#include <string>
#include <string_view>

namespace perdure {

/// What is in a folder, without "." and "..", in the order the file system gives: each entry (with its DT_ type, which is
/// resolved) is given to `visit` instead of being kept. The name is good until `visit` returns.
[[nodiscard]] Result<> visit_folder(int folder, const std::string& described,
                                    const std::function<void(std::string_view name, unsigned char type)>& visit);

}  // namespace perdure
