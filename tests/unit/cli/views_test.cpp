#include "cli/views.h"

#include <cstdio>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <unistd.h>

#include "cli/table.h"

namespace causeway::cli {
namespace {

namespace json = boost::json;

json::object parse(const char* text) {
  return json::parse(text).as_object();
}

TEST(Table, AlignsAndLeavesNoSpaceAtTheEnd) {
  Table table({{"NAME"}, {"N", Align::right}, {"LAST"}});
  table.add({"a", "1000", "x"});
  table.add({"long-name", "5", ""});
  table.add({"grün", "7", {"y", Tone::good}});
  EXPECT_EQ(table.render(false),
            "NAME          N  LAST\n"
            "a          1000  x\n"
            "long-name     5\n"
            "grün          7  y\n");
  EXPECT_THAT(table.render(true), testing::HasSubstr("\033[32my\033[0m\n"));
}

TEST(Table, NamesCannotMoveTheCursor) {
  Table table({{"NAME"}});
  table.add({"a\033[2Jb\nc"});
  EXPECT_EQ(table.render(false), "NAME\na?[2Jb?c\n");
}

TEST(Printable, KeepsWhatIsReadAndNothingThatActs) {
  EXPECT_EQ(printable("grün 日本語 – “a” €"), "grün 日本語 – “a” €");
  EXPECT_EQ(printable("a\u202e\u2066\u200fb\u009bc\x7f"), "a???b?c?");
  EXPECT_EQ(printable("cut \xe2\x80"), "cut \xe2\x80") << "not UTF-8";
  EXPECT_EQ(printable_lines("one\ntwo\r\033[2J\n"), "one\ntwo??[2J\n");
  EXPECT_EQ(printable_lines(""), "");
}

TEST(Views, Status) {
  EXPECT_EQ(
      status_text(
          parse(R"({"version": "0.1.0", "pid": 41, "uptime_seconds": 7300, "revision": 12, "snapshot_revision": 12,
      "sinks": [{"name": "proxy", "acknowledged": 12, "current": true}, {"name": "dns", "acknowledged": 11, "current": false}],
      "proxy": {"pid": 42, "restarts": 1}, "interception_effective": true, "attached_to": "/sys/fs/cgroup", "kernel_error": "",
      "namespaces": 1, "services": 2, "aliases": 3, "endpoints": 4, "tasks": 5})"),
          false),
      "agent         causewayd 0.1.0, pid 41, up 2h\n"
      "proxy         pid 42, 1 restarts\n"
      "interception  effective, programs attached to /sys/fs/cgroup\n"
      "revision      12\n"
      "  proxy       up to date\n"
      "  dns         at 11 of 12\n"
      "carries       1 namespaces, 2 services, 3 aliases, 4 endpoints, 5 tasks\n");
}

TEST(Views, StatusOfAnAgentInTrouble) {
  const std::string text = status_text(
      parse(R"({"proxy": {"pid": 0}, "interception_effective": false, "kernel_error": "map full"})"), false);
  EXPECT_THAT(text, testing::HasSubstr("proxy         not running\n"));
  EXPECT_THAT(text, testing::HasSubstr("NOT effective"));
  EXPECT_THAT(text, testing::HasSubstr("map full\n"));
}

TEST(Views, Services) {
  EXPECT_EQ(services_text(parse(R"({"services": [
      {"namespace": "myapp.local", "discovery_name": "users", "protocol": "detect", "path": "proxy",
       "aliases": [{"name": "user-svc", "port": 80, "vip4": "127.255.0.1"}, {"name": "user-svc", "port": 81, "vip4": "127.255.0.1"}],
       "endpoints": {"healthy": 2, "unhealthy": 0, "starting": 1, "draining": 0},
       "counters": {"requests": 1500, "failed_requests": 3, "connections_active": 9}},
      {"namespace": "myapp.local", "discovery_name": "bare", "protocol": "tcp", "path": "direct", "aliases": [], "endpoints": {}}]})"),
                          false),
            "NAMESPACE    DISCOVERY NAME  ALIASES                  ADDRESS      PATH    PROTOCOL  HEALTHY  REQUESTS  "
            "5XX  ACTIVE\n"
            "myapp.local  users           user-svc:80 user-svc:81  127.255.0.1  proxy   detect        2/3      1500    "
            "3       9\n"
            "myapp.local  bare            -                        -            direct  tcp           0/0         -    "
            "-       -\n");
  EXPECT_THAT(services_text(parse(R"({"services": []})"), false), testing::HasSubstr("no services"));
}

TEST(Views, Endpoints) {
  EXPECT_EQ(endpoints_text(parse(R"({"endpoints": [
      {"namespace": "myapp.local", "discovery_name": "users", "instance_id": "i-1", "address": "127.254.0.1", "port": 3000, "weight": 10, "health": "healthy"},
      {"namespace": "myapp.local", "discovery_name": "users", "instance_id": "i-2", "address": "2001:db8::1", "port": 80, "weight": 1, "health": "draining"}]})"),
                           false),
            "NAMESPACE    DISCOVERY NAME  INSTANCE  ADDRESS           WEIGHT  HEALTH\n"
            "myapp.local  users           i-1       127.254.0.1:3000      10  healthy\n"
            "myapp.local  users           i-2       [2001:db8::1]:80       1  draining\n");
}

TEST(Views, TasksHideStoppedOnesUnlessAsked) {
  const auto tasks = parse(R"({"tasks": [
      {"id": "0123456789abcdef0123456789abcdef", "cluster": "production", "service": "user-service", "last_status": "RUNNING", "pid": 7,
       "address": "127.254.0.1", "ports": [3000, 9000], "listening_ports": [3000], "started_at": 940, "created_at": 939, "stopped_reason": ""},
      {"id": "ffff", "cluster": "production", "service": "user-service", "last_status": "STOPPED", "pid": 8, "address": "127.254.0.2",
       "ports": [3000], "listening_ports": [], "started_at": 1, "stopped_reason": "Task stopped by user"}]})");
  EXPECT_EQ(tasks_text(tasks, false, 1000, false),
            "TASK          CLUSTER     SERVICE       STATUS   PID  ADDRESS      LISTENS              AGE  REASON\n"
            "0123456789ab  production  user-service  RUNNING    7  127.254.0.1  3000 9000 (not yet)  60s  -\n");
  EXPECT_THAT(tasks_text(tasks, true, 1000, false), testing::HasSubstr("Task stopped by user"));
}

TEST(Views, Explain) {
  EXPECT_EQ(explain_text(
                parse(R"({"name": "user-svc", "port": 80, "steps": [{"step": "client", "ok": true, "text": "a process"},
      {"step": "endpoints", "ok": false, "text": "none"}], "endpoints": [{"instance_id": "i", "address": "127.254.0.1", "port": 3000,
      "health": "starting", "used": false, "reason": "nothing listens"}]})"),
                false),
            "user-svc:80\n"
            "  ok client    a process\n"
            "  -- endpoints none\n"
            "\n"
            "INSTANCE  ADDRESS           HEALTH    TAKES CONNECTIONS  WHY\n"
            "i         127.254.0.1:3000  starting  no                 nothing listens\n");
}

TEST(Views, Settings) {
  const auto settings = parse(R"({"settings": [
      {"key": "retries", "value": "3", "default": "2", "set": true, "source": "the service attribute causeway:retries"},
      {"key": "ejection", "value": "on", "default": "on", "set": false, "source": "the built-in default"}]})");
  EXPECT_EQ(settings_text(settings, {}, false),
            "SETTING   VALUE  DEFAULT  SET BY\n"
            "retries   3      2        the service attribute causeway:retries\n"
            "ejection  on     on       -\n");
  EXPECT_EQ(settings_text(settings, {"ejection"}, false),
            "SETTING   VALUE  DEFAULT  SET BY\n"
            "ejection  on     on       -\n");
}

TEST(Views, AnswersOfAnotherVersionDoNotBreak) {
  for (const char* text : {"{}", R"({"services": 5, "endpoints": {}, "tasks": [1, {}], "steps": "x", "proxy": []})"}) {
    const auto object = parse(text);
    EXPECT_FALSE(status_text(object, false).empty());
    EXPECT_FALSE(services_text(object, false).empty());
    EXPECT_FALSE(endpoints_text(object, false).empty());
    EXPECT_FALSE(tasks_text(object, true, 0, false).empty());
    EXPECT_FALSE(explain_text(object, false).empty());
  }
}

/// What a shell makes of the text.
std::string by_shell(const std::string& script) {
  std::FILE* shell = ::popen(("/bin/sh -c " + shell_quote(script)).c_str(), "r");
  std::string out;
  for (int c = 0; (c = std::fgetc(shell)) != EOF;) out += static_cast<char>(c);
  ::pclose(shell);
  return out;
}

TEST(Env, SurvivesAShellWhateverIsInTheSecret) {
  const std::string secret = R"(a'b"c$HOME`id`\ d;#x)";
  const std::string text = env_text({{"AWS_ACCESS_KEY_ID", "AKIA"},
                                     {"AWS_SECRET_ACCESS_KEY", secret},
                                     {"AWS_REGION", "us-east-1"},
                                     {"PATH", "/evil"}});
  const std::string show = "\nprintf %s \"$AWS_ACCESS_KEY_ID|$AWS_SECRET_ACCESS_KEY|$AWS_REGION\"";
  EXPECT_EQ(by_shell(text + show), "AKIA|" + secret + "|us-east-1");
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("evil")));
}

TEST(Env, EvalWithoutQuotesSetsEverythingToo) {
  const std::string text = env_text({{"AWS_ACCESS_KEY_ID", "AKIA"}, {"AWS_ENDPOINT_URL", "http://127.0.0.1:7070"}});
  EXPECT_EQ(by_shell("eval $(printf %s " + shell_quote(text) + ")\nprintf %s \"$AWS_ACCESS_KEY_ID|$AWS_ENDPOINT_URL\""),
            "AKIA|http://127.0.0.1:7070");
}

TEST(Age, IsShort) {
  EXPECT_EQ(age(-1), "-");
  EXPECT_EQ(age(119), "119s");
  EXPECT_EQ(age(120), "2m");
  EXPECT_EQ(age(7200), "2h");
  EXPECT_EQ(age(172800), "2d");
}

}  // namespace
}  // namespace causeway::cli
