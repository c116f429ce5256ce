#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdlib.h>
#include <string>

namespace perdure::testing_support {

/// A temporary folder for one test; the destructor removes it.
class TempFolder {
 public:
  TempFolder() : path_((std::filesystem::temp_directory_path() / "perdure-test-XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
    path_ = std::filesystem::canonical(path_).string();
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace perdure::testing_support
