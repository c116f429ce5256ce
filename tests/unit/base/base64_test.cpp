#include "base/base64.h"

#include <gmock/gmock.h>

namespace perdure {
namespace {

TEST(Base64, KnowsTheVectorsOfRfc4648) {
  constexpr std::pair<std::string_view, std::string_view> kVectors[] = {{"", ""},
                                                                        {"f", "Zg=="},
                                                                        {"fo", "Zm8="},
                                                                        {"foo", "Zm9v"},
                                                                        {"foob", "Zm9vYg=="},
                                                                        {"fooba", "Zm9vYmE="},
                                                                        {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : kVectors) {
    EXPECT_EQ(base64_of(bytes), text);
    EXPECT_EQ(bytes_of_base64(text), bytes);
  }
}

TEST(Base64, TakesEveryByteThereAndBack) {
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += static_cast<char>(i * 7);
  for (std::size_t length = 0; length < bytes.size(); length += 37)
    EXPECT_EQ(bytes_of_base64(base64_of(bytes.substr(0, length))), bytes.substr(0, length));
}

TEST(Base64, RefusesWhatIsNone) {
  for (const auto* text : {"Z", "Zg=", "Zg", "Z===", "Zm 9", "Zm9v\n", "Zm-v", "=Zm9"})
    EXPECT_EQ(bytes_of_base64(text), std::nullopt) << text;
}

}  // namespace
}  // namespace perdure
