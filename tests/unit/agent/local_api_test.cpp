#include "agent/local_api.h"

#include <fstream>

#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>

#include "child.h"
#include "world.h"

namespace causeway::agent {
namespace {

using testing::HasSubstr;

class LocalApiTest : public testing::Test {
 protected:
  LocalApiTest() {
    world_.describe_example();
    SupervisorOptions options;
    options.tasks_cgroup = cgroup_.path() + "/tasks";
    options.drain = std::chrono::milliseconds(0);
    options.is_listening = [](const SocketAddress&) -> Result<bool> { return false; };
    supervisor_ = std::make_unique<TaskSupervisor>(context_.get_executor(), world_.controller(), options);
    world_.controller().on_change([this](const auto& events) { supervisor_->on_change(events); });
    EXPECT_TRUE(supervisor_->start().has_value());
    runtime_.uptime = std::chrono::seconds(5);
    runtime_.sinks = {{"proxy", Revision{1}}, {"dns", Revision{1'000'000}}};
    runtime_.proxy_pid = 77;
    handler_ = make_local_api({config_, world_.controller(), *supervisor_, credentials_, [this] { return runtime_; }});
  }

  struct Answer {
    unsigned status = 0;
    json::object body;
    std::string error() const { return std::string(body.at("error").as_string()); }
  };
  Answer ask(const std::string& method, const std::string& target, const std::string& body = "", int pid = -1,
             unsigned uid = 0) {
    web::Request request;
    request.method = method;
    request.target = target;
    request.body = body;
    request.peer_pid = pid;
    request.peer_uid = uid;
    Answer answer;
    handler_(request, [&answer](const web::Response& response) {
      EXPECT_EQ(response.content_type, "application/json");
      answer = {response.status, json::parse(response.body).as_object()};
    });
    return answer;
  }

  boost::asio::io_context context_;
  TestCgroup cgroup_;
  World world_;
  Config config_;
  control::Credentials credentials_{"AKIATEST", "secret/with+'quote"};
  RuntimeStatus runtime_;
  std::unique_ptr<TaskSupervisor> supervisor_;
  web::Handler handler_;
};

TEST_F(LocalApiTest, StatusTellsWhichSinksAreBehind) {
  const auto answer = ask("GET", "/v1/status");
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body.at("uptime_seconds").as_int64(), 5);
  EXPECT_TRUE(answer.body.at("interception_effective").is_null());
  EXPECT_FALSE(answer.body.at("sinks").at(0).at("current").as_bool());
  EXPECT_TRUE(answer.body.at("sinks").at(1).at("current").as_bool());
  EXPECT_EQ(answer.body.at("aliases").to_number<int>(), 1);
}

TEST_F(LocalApiTest, ServicesShowAliasesAndCounters) {
  ServiceCounters counted;
  counted.service = world_.controller().snapshot()->services.begin()->first;
  counted.requests = 12;
  runtime_.services = {counted};
  const auto answer = ask("GET", "/v1/services");
  const auto& users = answer.body.at("services").at(0);
  EXPECT_EQ(users.at("discovery_name").as_string(), "users");
  EXPECT_EQ(users.at("aliases").at(0).at("name").as_string(), "user-svc");
  EXPECT_EQ(users.at("counters").at("requests").to_number<int>(), 12);
}

TEST_F(LocalApiTest, TaskIsMadeOfThePeerAndStopped) {
  Child child(sleep_for_good);
  const auto made = ask("POST", "/v1/tasks", R"({"cluster": "production", "service": "user-service"})", child.pid());
  ASSERT_EQ(made.status, 201U) << json::serialize(made.body);
  const std::string id(made.body.at("id").as_string());
  EXPECT_EQ(made.body.at("pid").to_number<int>(), child.pid());
  EXPECT_THAT(std::string(made.body.at("address").as_string()), testing::StartsWith("127.254."));
  std::ifstream procs(cgroup_.path() + "/tasks/" + std::string(made.body.at("cgroup").as_string()) + "/cgroup.procs");
  int inside = 0;
  procs >> inside;
  EXPECT_EQ(inside, child.pid());
  EXPECT_EQ(ask("GET", "/v1/tasks").body.at("tasks").at(0).at("id").as_string(), id);
  EXPECT_EQ(ask("GET", "/v1/endpoints").body.at("endpoints").at(0).at("health").as_string(), "starting");

  EXPECT_EQ(ask("POST", "/v1/tasks/" + id + "/stop").status, 202U);
  EXPECT_TRUE(run_until(context_, [&] { return world_.tasks().at(0).last_status == "STOPPED"; }));
}

TEST_F(LocalApiTest, WrongServiceGetsTheNearestOne) {
  const auto answer = ask("POST", "/v1/tasks", R"({"cluster": "production", "service": "user-servcie"})", ::getpid());
  EXPECT_EQ(answer.status, 409U);
  EXPECT_THAT(answer.error(), HasSubstr("did you mean production/user-service?"));
}

TEST_F(LocalApiTest, MalformedTasksAreRefused) {
  for (const char* body : {"", "[]", "{", R"({"cluster": "production"})", R"({"cluster": 1, "service": "x"})",
                           R"({"cluster":"","service":""})"}) {
    const auto answer = ask("POST", "/v1/tasks", body, ::getpid());
    EXPECT_EQ(answer.status, 400U) << body;
    EXPECT_THAT(answer.error(), HasSubstr("the body must be"));
  }
  EXPECT_EQ(ask("POST", "/v1/tasks", std::string(4096, '['), ::getpid()).status, 400U);
  EXPECT_EQ(ask("POST", "/v1/tasks", R"({"cluster": "production", "service": "user-service"})", -1).status, 400U);
}

TEST_F(LocalApiTest, OnlyRootMayAsk) {
  EXPECT_EQ(ask("GET", "/v1/env", "", 1, 1000).status, 403U);
  EXPECT_EQ(ask("GET", "/v1/env", "", 1, ~0U).status, 403U);
}

TEST_F(LocalApiTest, EnvHoldsTheKeyPairAndTheEndpoint) {
  const auto answer = ask("GET", "/v1/env");
  EXPECT_EQ(answer.body.at("AWS_SECRET_ACCESS_KEY").as_string(), "secret/with+'quote");
  EXPECT_EQ(answer.body.at("AWS_ENDPOINT_URL").as_string(), "http://127.0.0.1:7070");
}

TEST_F(LocalApiTest, ExplainAnswersAndRefuses) {
  EXPECT_EQ(ask("GET", "/v1/explain?name=user-svc&port=80").body.at("verdict").as_string(), "no_endpoint");
  EXPECT_EQ(ask("GET", "/v1/explain?name=user-svc&from=production%2Fweb").status, 200U);
  EXPECT_EQ(ask("GET", "/v1/explain?name=100::1&port=80").status, 200U);
  EXPECT_EQ(ask("GET", "/v1/explain").status, 400U);
  EXPECT_EQ(ask("GET", "/v1/explain?name=user-svc&port=99999").status, 400U);
  EXPECT_EQ(ask("GET", "/v1/explain?name=user-svc&from=production/none").status, 404U);
}

TEST_F(LocalApiTest, SettingsAreChangedAndShown) {
  const auto change = [this](const std::string& put, const std::string& remove) {
    return ask("POST", "/v1/settings",
               R"({"service": "myapp.local/Users", "set": {)" + put + R"(}, "remove": [)" + remove + "]}");
  };
  const auto value = [](const json::object& body, std::string_view key) {
    for (const auto& each : body.at("settings").as_array()) {
      if (each.at("key").as_string() == key)
        return std::string(each.at("value").as_string()) + ", " + std::string(each.at("source").as_string());
    }
    return std::string();
  };
  EXPECT_EQ(value(ask("GET", "/v1/settings?service=myapp.local%2Fusers").body, "retries"), "2, the built-in default");
  const auto changed = change(R"("retries": "0", "connect_timeout": "1500ms")", "");
  ASSERT_EQ(changed.status, 200U);
  EXPECT_EQ(value(changed.body, "retries"), "0, the service attribute causeway:retries");
  const auto explained = ask("GET", "/v1/explain?name=user-svc&port=80").body;
  EXPECT_EQ(explained.at("settings").as_array().size(), 2U);
  EXPECT_THAT(json::serialize(explained.at("steps")),
              HasSubstr("connect_timeout is 1500ms, by the service attribute causeway:connect_timeout (default 5s)"));

  const auto before = world_.state().revision();
  EXPECT_THAT(change(R"("retries": "1", "retrys": "1")", "").error(), HasSubstr("did you mean retries?"));
  EXPECT_THAT(change(R"("retries": "1", "ejection": "maybe")", "").error(), HasSubstr("it takes on or off"));
  EXPECT_THAT(change("", R"("retrys")").error(), HasSubstr("did you mean retries?"));
  EXPECT_EQ(world_.state().revision(), before) << "a change is made whole or not at all";
  EXPECT_EQ(change("", R"("retries", "ejection")").status, 200U);
  EXPECT_EQ(ask("GET", "/v1/explain?name=user-svc&port=80").body.at("settings").as_array().size(), 1U);
}

TEST_F(LocalApiTest, MalformedSettingsAreRefused) {
  for (const char* body : {"", "{}", R"({"service": 5})", R"({"service": "a/b", "set": []})",
                           R"({"service": "a/b", "set": {"retries": 5}})", R"({"service": "a/b", "remove": {}})",
                           R"({"service": "a/b", "remove": [1]})"}) {
    EXPECT_EQ(ask("POST", "/v1/settings", body).status, 400U) << body;
  }
  EXPECT_THAT(ask("POST", "/v1/settings", R"({"service": "myapp.local/user"})").error(),
              HasSubstr("did you mean myapp.local/users?"));
  EXPECT_EQ(ask("GET", "/v1/settings?service=users").status, 404U);
  EXPECT_EQ(ask("GET", "/v1/settings").status, 404U);
}

TEST_F(LocalApiTest, UnknownPathsAndMethods) {
  EXPECT_EQ(ask("GET", "/v1/nothing").status, 404U);
  EXPECT_EQ(ask("DELETE", "/v1/status").status, 405U);
  EXPECT_EQ(ask("GET", "/v1/tasks/x/stop").status, 405U);
  EXPECT_EQ(ask("POST", "/v1/tasks/x/stop").status, 404U);
  EXPECT_EQ(ask("POST", "/v1/tasks//stop").status, 404U);
  EXPECT_EQ(ask("POST", "/v1/tasks/stop").status, 404U);
}

}  // namespace
}  // namespace causeway::agent
