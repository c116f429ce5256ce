#include "jsonrpc/message.h"

#include <gtest/gtest.h>

namespace perdure::jsonrpc {
namespace {

std::expected<Message, Unreadable> read(std::string_view text) {
  auto value = parse_text(text);
  if (!value) return std::unexpected(value.error());
  return read_message(std::move(*value));
}

TEST(Message, RequestNotificationAndResponsesAreToldApart) {
  const auto request = read(R"({"jsonrpc":"2.0","id":"a","method":"m","params":{"x":1}})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->kind, Message::Kind::request);
  EXPECT_EQ(request->params.at("x"), 1);
  EXPECT_EQ(read(R"({"jsonrpc":"2.0","method":"m"})")->kind, Message::Kind::notification);
  const auto result = read(R"({"jsonrpc":"2.0","id":1,"result":{}})");
  EXPECT_EQ(result->kind, Message::Kind::response);
  EXPECT_FALSE(result->fault);
  const auto failed = read(R"({"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"no"}})");
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->fault->code, -1);
}

TEST(Message, WhatIsNoneIsRefusedWithItsIdWhereThereIsOne) {
  for (const auto& [text, code, id] : std::initializer_list<std::tuple<std::string_view, int, json::value>>{
           {"{", kParseError, nullptr},
           {"\"\xff\"", kParseError, nullptr},
           {"[]", kInvalidRequest, nullptr},
           {R"({"id":1,"method":"m"})", kInvalidRequest, 1},
           {R"({"jsonrpc":"2.0","id":1})", kInvalidRequest, 1},
           {R"({"jsonrpc":"2.0","id":1,"method":null})", kInvalidRequest, 1},
           {R"({"jsonrpc":"2.0","id":true,"method":"m"})", kInvalidRequest, nullptr},
           {R"({"jsonrpc":"2.0","id":null,"method":"m"})", kInvalidRequest, nullptr},
           {R"({"jsonrpc":"2.0","id":"q","method":"m","params":[1]})", kInvalidParams, "q"}}) {
    const auto message = read(text);
    ASSERT_FALSE(message) << text;
    EXPECT_EQ(message.error().fault.code, code) << text;
    EXPECT_EQ(message.error().id, id) << text;
  }
}

TEST(Message, DepthIsBounded) {
  EXPECT_TRUE(parse_text(std::string(64, '[') + std::string(64, ']')));
  EXPECT_FALSE(parse_text(std::string(65, '[') + std::string(65, ']')));
  EXPECT_FALSE(parse_text(std::string(1 << 20, '[')));
}

TEST(Message, AnErrorsDataIsLeftOutWhereThereIsNone) {
  EXPECT_EQ(json::serialize(make_fault(1, {-5, "x"})), R"({"jsonrpc":"2.0","id":1,"error":{"code":-5,"message":"x"}})");
  EXPECT_EQ(json::serialize(make_fault(nullptr, {-5, "x", json::object{{"a", 1}}})),
            R"({"jsonrpc":"2.0","id":null,"error":{"code":-5,"message":"x","data":{"a":1}}})");
}

}  // namespace
}  // namespace perdure::jsonrpc
