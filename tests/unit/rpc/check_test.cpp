#include "rpc/methods/methods.h"
#include "rpc/table/method.h"

#include <gmock/gmock.h>

#include <set>

namespace perdure::rpc {
namespace {

constexpr Field kFields[] = {
    {"id", "string", "", true}, {.name = "n", .type = "integer", .help = "", .least = 1, .most = 9},
    {"word", "a|bc", ""},       {"words", "string[]", ""},
    {"map", "{string}", ""},    {"maybe", "integer?", ""},
    {"flag", "boolean", ""},    {"questions", "Question[]", ""},
};

std::string wrong(std::string_view text) {
  const auto given = json::parse(text);
  const auto fine = check(kFields, given.as_object());
  return fine ? "" : fine.error().message.substr(std::string_view("Invalid params: ").size());
}

TEST(Check, TakesWhatHasItsTypesAndIgnoresTheUnknown) {
  EXPECT_EQ(wrong(R"({"id":"x"})"), "");
  EXPECT_EQ(
      wrong(R"({"id":"x","n":9,"word":"bc","words":[],"map":{"a":"b"},"maybe":null,"flag":false,"unknown":[{}]})"), "");
  EXPECT_EQ(wrong(R"({"id":"x","n":null,"word":null})"), "");
}

TEST(Check, NamesWhatIsWrong) {
  EXPECT_EQ(wrong("{}"), "id: is missing");
  EXPECT_EQ(wrong(R"({"id":null})"), "id: is missing");
  EXPECT_EQ(wrong(R"({"id":{}})"), "id: expected a string, got an object");
  EXPECT_EQ(wrong(R"({"id":"x","n":0})"), "n: expected an integer from 1 to 9, got 0");
  EXPECT_EQ(wrong(R"({"id":"x","n":1.5})"), "n: expected an integer, got a number");
  EXPECT_EQ(wrong(R"({"id":"x","n":18446744073709551615})"), "n: expected an integer, got an integer");
  EXPECT_EQ(wrong(R"({"id":"x","word":"b"})"), "word: expected one of a|bc, got 'b'");
  EXPECT_EQ(wrong(R"({"id":"x","words":["a",1]})"), "words: [1]: expected a string, got an integer");
  EXPECT_EQ(wrong(R"({"id":"x","map":{"a":1}})"), "map: a: expected a string, got an integer");
  EXPECT_EQ(wrong(R"({"id":"x","maybe":"1"})"), "maybe: expected an integer, got a string");
  EXPECT_EQ(wrong(R"({"id":"x","questions":[{"question":"a","options":[{}]}]})"),
            "questions: [0]: options: [0]: label: is missing");
}

TEST(Table, NamesAreUniqueAndTypesAreKnown) {
  std::set<std::string_view> names;
  for (const auto& method : all_methods()) {
    EXPECT_TRUE(names.insert(method.name).second) << method.name;
    EXPECT_NE(method.handle, nullptr) << method.name;
    EXPECT_EQ(find_method(method.name)->name, method.name);
  }
  // Every reference of the document has a type.
  const std::string schema = schema_json();
  const auto document = json::parse(schema);
  const auto& shapes = document.at("components").at("schemas").as_object();
  constexpr std::string_view kPrefix = "#/components/schemas/";
  for (auto at = schema.find(kPrefix); at != std::string::npos; at = schema.find(kPrefix, at + 1)) {
    const auto end = schema.find('"', at);
    EXPECT_TRUE(shapes.contains(schema.substr(at + kPrefix.size(), end - at - kPrefix.size())));
  }
  EXPECT_EQ(find_method("no.such"), nullptr);
}

}  // namespace
}  // namespace perdure::rpc
