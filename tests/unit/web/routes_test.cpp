#include "web/routes/routes.h"

#include "rpc/methods/methods.h"
#include "web/access/access.h"

#include <gmock/gmock.h>

namespace perdure::web {
namespace {

TEST(Routes, EachIsFoundByItsPathAndMethod) {
  for (const auto& route : all_routes()) {
    std::string path(route.path);
    if (const auto at = path.find("{s}"); at != std::string::npos) path.replace(at, 3, "abc");
    if (const auto at = path.find("{id}"); at != std::string::npos) path.replace(at, 4, "bash-00000000");
    const auto found = find_route(route.method, path);
    ASSERT_EQ(found.route, &route) << path;
    EXPECT_EQ(found.id, route.path.find("{id}") == std::string_view::npos ? "" : "bash-00000000");
    // The ticket of a download gives no more than a look, but is made anew by each request.
    const bool looks = route.method == "GET" || route.path.ends_with("/download");
    EXPECT_EQ(looks, route.right == Right::look) << path;
    if (route.rpc.empty()) continue;
    const auto* const method = rpc::find_method(route.rpc);
    ASSERT_NE(method, nullptr) << path;
    // A method that writes is behind a right.
    EXPECT_EQ(method->writes, route.right != Right::look) << path;
  }
}

TEST(Routes, OthersAreNot) {
  for (const auto* path : {"", "/", "/api/v1", "/api/v1/sessions/", "/api/v1/sessions/a/tasks/b/c", "api/v1/sessions"})
    EXPECT_EQ(find_route("GET", path).route, nullptr) << path;
  EXPECT_TRUE(find_route("POST", "/api/v1/sessions").other_method);
}

TEST(Query, IsDecodedAndTyped) {
  const auto& fields = rpc::find_method("task.list")->params;
  const auto params =
      params_of_query("/x?limit=5&active=true&status=failed,lost&q=a%20b%2Bc+d&since=3&none=1&%zz", fields);
  ASSERT_TRUE(params);
  EXPECT_EQ(json::serialize(*params),
            R"({"limit":5,"active":true,"filter":{"status":["failed","lost"],"text":"a b+c d","since":3}})");
  EXPECT_FALSE(params_of_query("/x?limit=x", fields));
  EXPECT_FALSE(params_of_query("/x?active=1", fields));
  EXPECT_FALSE(params_of_query("/x?since=", fields));
  EXPECT_EQ(json::serialize(*params_of_query("/x", fields)), "{}");
  EXPECT_EQ(json::serialize(*params_of_query("/x?", fields)), "{}");
}

// V41
TEST(Access, OnlyThisServersNamesAndPagesPass) {
  const auto status = [](const char* method, http::Headers headers, std::optional<std::string> origin = {}) {
    const http::Request request{.method = method, .target = "/", .body = "", .headers = std::move(headers)};
    const auto refusal = refusal_of(request, "127.0.0.1", origin);
    return refusal ? refusal->status : 0;
  };
  using H = http::Headers;
  EXPECT_EQ(status("GET", H{{"Host", "localhost:1"}}), 0);
  EXPECT_EQ(status("GET", H{{"Host", "[::1]"}}), 0);
  EXPECT_EQ(status("GET", H{}), 403);
  for (const auto* host :
       {"evil", "localhost.evil", "evil:127.0.0.1", "[::1", "127.0.0.2", "[evil]:80", "localhost@evil"})
    EXPECT_EQ(status("GET", H{{"Host", host}}), 403) << host;
  const H json{{"Host", "localhost:1"}, {"Content-Type", "Application/JSON; charset=utf-8"}, {"X-Perdure", "1"}};
  EXPECT_EQ(status("POST", json), 0);
  EXPECT_EQ(status("DELETE", json), 0);
  EXPECT_EQ(status("PUT", H{{"Host", "localhost:1"}, {"X-Perdure", "1"}}), 415);
  EXPECT_EQ(status("GET", H{{"Host", "box.example"}}, "https://box.example"), 0);
  EXPECT_EQ(status("GET", H{{"Host", "box.example"}, {"Origin", "http://box.example"}}, "https://box.example"), 403);
}

}  // namespace
}  // namespace perdure::web
