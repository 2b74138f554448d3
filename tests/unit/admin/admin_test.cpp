#include "admin/admin.h"

#include <gtest/gtest.h>

namespace causeway::admin {
namespace {

struct Case {
  const char* method;
  const char* target;
  unsigned status;
  const char* body;
};

class AdminTest : public ::testing::Test {
 protected:
  web::Response ask(const std::string& method, const std::string& target) {
    web::Request request;
    request.method = method;
    request.target = target;
    web::Response got;
    make_admin({[] { return std::string("m 1\n"); }, [this] { return alive; }, [this] { return missing; }})(
        request, [&](web::Response response) { got = std::move(response); });
    return got;
  }
  bool alive = true;
  std::vector<std::string> missing;
};

TEST_F(AdminTest, AnswersItsPages) {
  const Case cases[] = {{"GET", "/metrics", 200, "m 1\n"},  {"GET", "/healthz", 200, "ok\n"},  {"HEAD", "/healthz", 200, "ok\n"},
                        {"GET", "/readyz?verbose", 200, "ready\n"}, {"POST", "/metrics", 405, "only GET and HEAD\n"},
                        {"GET", "/nothing", 404, "no such page; / lists them\n"}};
  for (const auto& c : cases) {
    const auto response = ask(c.method, c.target);
    EXPECT_EQ(response.status, c.status) << c.method << " " << c.target;
    EXPECT_EQ(response.body, c.body) << c.method << " " << c.target;
  }
  EXPECT_EQ(ask("GET", "/metrics").content_type, "text/plain; version=0.0.4; charset=utf-8");
}

TEST_F(AdminTest, SaysWhatIsMissing) {
  missing = {"the proxy has not acknowledged a snapshot", "dns is at revision 0"};
  const auto response = ask("GET", "/readyz");
  EXPECT_EQ(response.status, 503u);
  EXPECT_EQ(response.body, "the proxy has not acknowledged a snapshot\ndns is at revision 0\n");
  alive = false;
  EXPECT_EQ(ask("GET", "/healthz").status, 503u);
}

}  // namespace
}  // namespace causeway::admin
