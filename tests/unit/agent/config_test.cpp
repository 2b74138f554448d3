#include "agent/config.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <unistd.h>

#include "agent/config_keys.h"

namespace causeway::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> problems(std::string_view text) {
  std::vector<std::string> out;
  for (const ConfigProblem& problem : parse_config(text, "f.toml").problems) out.push_back(problem.message());
  return out;
}

std::string only_problem(std::string_view text) {
  const auto all = problems(text);
  return all.size() == 1 ? all.front() : "problems: " + std::to_string(all.size()) + testing::PrintToString(all);
}

TEST(Config, EmptyFileHasTheDocumentedDefaults) {
  const LoadedConfig loaded = parse_config("", "f.toml");
  ASSERT_TRUE(loaded.ok());
  const Config& c = loaded.config;
  EXPECT_EQ(c.paths.data_dir, "/var/lib/causeway");
  EXPECT_EQ(c.socket_path(), "/run/causeway/agent.sock");
  EXPECT_EQ(c.paths.pin_root, "/sys/fs/bpf/causeway");
  EXPECT_EQ(c.listen.api.to_string(), "127.0.0.1:7070");
  EXPECT_EQ(c.listen.dns6.to_string(), "[::1]:15053");
  EXPECT_EQ(c.listen.proxy_port, 15001);
  EXPECT_EQ(c.addresses.alias_v4.to_string(), "127.255.0.0/16");
  EXPECT_EQ(c.addresses.alias_v6.to_string(), "100::/64");
  EXPECT_EQ(c.addresses.task_v4.to_string(), "127.254.0.0/16");
  EXPECT_EQ(c.proxy.drain, std::chrono::seconds(20));
  EXPECT_TRUE(c.dns.capture);
  EXPECT_EQ(c.access_log.path, "/var/log/causeway/access.log");
  EXPECT_FALSE(c.access_log.enabled);
  EXPECT_FALSE(c.access_log.include_query_parameters);
  EXPECT_GE(c.proxy_workers(), 1U);
  EXPECT_LE(c.proxy_workers(), 4U);
  EXPECT_EQ(c.api_url(), "http://127.0.0.1:7070");
}

TEST(Config, EveryKeyIsRead) {
  const LoadedConfig loaded = parse_config(R"(
[paths]
data_dir = "/d"
run_dir = "/r"
pin_root = "/sys/fs/bpf/x"
[cgroup]
mount = "/sys/fs/cgroup/unified"
subtree = "hosts/a"
attach = "/sys/fs/cgroup/unified/hosts"
[listen]
api = "0.0.0.0:8070"
admin = "127.0.0.1:8071"
dns = "127.0.0.2:53"
dns6 = "[::1]:53"
proxy_port = 25001
[addresses]
alias_v4 = "10.200.0.0/16"
alias_v6 = "fd00::/64"
task_v4 = "127.100.0.0/24"
[aws]
region = "eu-central-1"
account = "123456789012"
[proxy]
workers = 3
user = "www-data"
drain_seconds = 0
[limits]
header_bytes = 8192
header_fields = 40
header_seconds = 5
body_idle_seconds = 0
connections = 900
connections_per_workload = 300
descriptors = 4000
[dns]
capture = false
resolvers = ["192.0.2.53", "[2001:db8::53]:5353"]
[log]
level = "debug"
[access_log]
path = "stdout"
enabled = true
format = "json"
include_query_parameters = true
[defaults]
connect_timeout = "250ms"
max_connections = 100
ejection = false
[service."MyApp.local/user-service"]
retry_budget = 10
idle_timeout = "off"
[service."a/b/c"]
retries = "0"
)",
                                           "f.toml");
  ASSERT_THAT(loaded.problems, IsEmpty()) << loaded.problems.front().message();
  const Config& c = loaded.config;
  EXPECT_EQ(c.paths.data_dir, "/d");
  EXPECT_EQ(c.paths.run_dir, "/r");
  EXPECT_EQ(c.cgroup.mount, "/sys/fs/cgroup/unified");
  EXPECT_EQ(c.cgroup.subtree, "hosts/a");
  EXPECT_EQ(c.cgroup.attach, "/sys/fs/cgroup/unified/hosts");
  EXPECT_EQ(c.api_url(), "http://127.0.0.1:8070");
  EXPECT_EQ(c.listen.admin.port, 8071);
  EXPECT_EQ(c.listen.dns.to_string(), "127.0.0.2:53");
  EXPECT_EQ(c.listen.dns6.port, 53);
  EXPECT_EQ(c.listen.proxy_port, 25001);
  EXPECT_EQ(c.addresses.alias_v4.to_string(), "10.200.0.0/16");
  EXPECT_EQ(c.addresses.task_v4.to_string(), "127.100.0.0/24");
  EXPECT_EQ(c.aws.region, "eu-central-1");
  EXPECT_EQ(c.aws.account, "123456789012");
  EXPECT_EQ(c.proxy_workers(), 3U);
  EXPECT_EQ(c.proxy.user, "www-data");
  EXPECT_EQ(c.proxy.drain, std::chrono::seconds(0));
  EXPECT_EQ(c.limits, (feed::ProxyLimits{.header_bytes = 8192,
                                         .header_fields = 40,
                                         .header_time = std::chrono::seconds(5),
                                         .body_idle = std::chrono::seconds(0),
                                         .connections = 900,
                                         .connections_per_workload = 300,
                                         .descriptors = 4000}));
  EXPECT_FALSE(c.dns.capture);
  ASSERT_EQ(c.dns.resolvers.size(), 2U);
  EXPECT_EQ(c.dns.resolvers[0].to_string(), "192.0.2.53:53");
  EXPECT_EQ(c.dns.resolvers[1].to_string(), "[2001:db8::53]:5353");
  EXPECT_EQ(c.log.level, log::Level::debug);
  EXPECT_EQ(c.access_log.path, "stdout");
  EXPECT_TRUE(c.access_log.enabled);
  EXPECT_EQ(c.access_log.format, AccessLogFormat::json);
  EXPECT_TRUE(c.access_log.include_query_parameters);
  EXPECT_EQ(c.defaults, (SettingValues{{SettingKey::connect_timeout, 250},
                                       {SettingKey::max_connections, 100},
                                       {SettingKey::ejection, 0}}));
  EXPECT_EQ(c.services.at("myapp.local/user-service"),
            (SettingValues{{SettingKey::retry_budget, 10}, {SettingKey::idle_timeout, 0}}));
  EXPECT_EQ(c.services.at("a/b/c"), (SettingValues{{SettingKey::retries, 0}}));
}

struct Bad {
  const char* text;
  const char* message;
};

class BadConfig : public testing::TestWithParam<Bad> {};

TEST_P(BadConfig, IsRefusedWithLineAndWhatToDo) {
  EXPECT_EQ(only_problem(GetParam().text), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadConfig,
    testing::Values(
        Bad{"[listen]\n\nproxy_prot = 1\n", "f.toml:3: unknown key listen.proxy_prot; did you mean listen.proxy_port?"},
        Bad{"[listen]\nworkers = 2\n", "f.toml:2: unknown key listen.workers; did you mean proxy.workers?"},
        Bad{"[log]\ncolour = true\n", "f.toml:2: unknown key log.colour; the keys of [log] are: level"},
        Bad{"[lisen]\napi = \"127.0.0.1:1\"\n", "f.toml:1: unknown table [lisen]; did you mean [listen]?"},
        Bad{"# x\ndata_dir = \"/d\"\n", "f.toml:2: unknown key \"data_dir\": it belongs into the table [paths]"},
        Bad{"dns = 5\n", "f.toml:1: dns must be a table, written as [dns], not the integer 5"},
        Bad{"[listen]\nproxy_port = \"15001\"\n",
            "f.toml:2: listen.proxy_port must be an integer from 1 to 65535, not the string \"15001\""},
        Bad{"[listen]\nproxy_port = 65536\n",
            "f.toml:2: listen.proxy_port must be an integer from 1 to 65535, not the integer 65536"},
        Bad{"[listen]\nproxy_port = -1\n",
            "f.toml:2: listen.proxy_port must be an integer from 1 to 65535, not the integer -1"},
        Bad{"[listen]\napi = \"localhost:7070\"\n",
            "f.toml:2: listen.api must be an address and port like \"127.0.0.1:7070\" or \"[::1]:7070\", not the "
            "string "
            "\"localhost:7070\""},
        Bad{"[listen]\ndns6 = \"127.0.0.1:53\"\n",
            "f.toml:2: listen.dns6 must be an IPv6 address and port like \"[::1]:7070\", not the string "
            "\"127.0.0.1:53\""},
        Bad{"[addresses]\nalias_v4 = \"127.255.0.1/16\"\n",
            "f.toml:2: addresses.alias_v4 must be an IPv4 range like \"127.255.0.0/16\" with /8 to /30 and zero bits "
            "behind it, "
            "not the string \"127.255.0.1/16\""},
        Bad{"[paths]\nrun_dir = \"run\"\n",
            "f.toml:2: paths.run_dir must be an absolute path of at most 90 bytes without \"..\", not the string "
            "\"run\""},
        Bad{"[cgroup]\nsubtree = \"../x\"\n",
            "f.toml:2: cgroup.subtree must be a relative path of at most 128 bytes without \"..\", not the string "
            "\"../x\""},
        Bad{"[defaults]\nmax_conections = 5\n",
            "f.toml:2: defaults: unknown setting \"max_conections\"; did you mean max_connections?"},
        Bad{"[defaults]\nconnect_timeout = 5\n",
            "f.toml:2: defaults.connect_timeout must be a duration from 1ms to 10m, such as 5s or 250ms, not the "
            "integer 5"},
        Bad{"[proxy]\nconnect_timeout = \"5s\"\n",
            "f.toml:2: unknown key proxy.connect_timeout; did you mean defaults.connect_timeout?"},
        Bad{"max_connections = 5\n",
            "f.toml:1: unknown key \"max_connections\": it belongs into the table [defaults]"},
        Bad{"[service.users]\nretries = 5\n",
            "f.toml:1: service.\"users\": a service's table is written as [service.\"NAMESPACE/DISCOVERY-NAME\"]"},
        Bad{"[service.\"myapp.local/users\"]\nretries = 11\n",
            "f.toml:2: service.\"myapp.local/users\".retries must be a number from 0 to 10, not the integer 11"},
        Bad{"[service]\nretries = 1\n",
            "f.toml:2: service.\"retries\": a service's table is written as [service.\"NAMESPACE/DISCOVERY-NAME\"]"},
        Bad{"service = 1\n",
            "f.toml:1: service must be a table, written as [service.\"NAMESPACE/DISCOVERY-NAME\"], not the integer 1"},
        Bad{"[aws]\naccount = \"12345\"\n",
            "f.toml:2: aws.account must be a string of 12 digits, not the string \"12345\""},
        Bad{"[dns]\ncapture = 1\n", "f.toml:2: dns.capture must be true or false, not the integer 1"},
        Bad{"[dns]\nresolvers = [\"8.8.8.8\", 5]\n",
            "f.toml:2: dns.resolvers must be an array of at most 8 addresses like \"192.0.2.53\" or \"192.0.2.53:53\", "
            "not the "
            "integer 5"},
        Bad{"[access_log]\nformat = \"off\"\n",
            "f.toml:2: access_log.format must be \"text\" or \"json\", not the string \"off\""},
        Bad{"[access_log]\npath = \"access.log\"\n",
            "f.toml:2: access_log.path must be an absolute path of at most 200 bytes without \"..\", \"stdout\", or "
            "\"\", not the string \"access.log\""},
        Bad{"[access_log]\nenabled = true\npath = \"\"\n",
            "f.toml:3: access_log.enabled is true, but access_log.path is empty; say where the lines go"},
        Bad{"[log]\nlevel = \"loud\"\n",
            "f.toml:2: log.level must be \"debug\", \"info\", \"warn\" or \"error\", not the string \"loud\""},
        Bad{"[addresses]\nalias_v4 = \"127.254.128.0/17\"\n",
            "f.toml:2: addresses.alias_v4 127.254.128.0/17 and addresses.task_v4 127.254.0.0/16 overlap; give each its "
            "own "
            "range"},
        Bad{"[addresses]\ntask_v4 = \"10.1.0.0/16\"\n",
            "f.toml:2: addresses.task_v4 10.1.0.0/16 must lie in 127.0.0.0/8"},
        Bad{"[addresses]\ntask_v4 = \"127.0.0.0/24\"\n",
            "f.toml:2: addresses.task_v4 127.0.0.0/24 must not contain 127.0.0.1"},
        Bad{"[listen]\nadmin = \"127.0.0.1:7070\"\n",
            "f.toml:2: listen.api 127.0.0.1:7070 and listen.admin 127.0.0.1:7070 are the same port of the same "
            "address; change "
            "one of them"},
        Bad{"[listen]\napi = \"0.0.0.0:15001\"\n",
            "f.toml:2: listen.api 0.0.0.0:15001 and listen.proxy_port 127.0.0.1:15001 are the same port of the same "
            "address; "
            "change one of them"},
        Bad{"[listen]\ndns = \"127.255.3.4:53\"\n",
            "f.toml:2: listen.dns 127.255.3.4:53 lies in the range 127.255.0.0/16 that addresses are given from"},
        Bad{"[dns]\nresolvers = [\"127.0.0.1:15053\"]\n",
            "f.toml:2: dns.resolvers names 127.0.0.1:15053, which is the agent itself; name another resolver"}));

TEST(Config, AllProblemsAreReportedAtOnceInOrderOfLines) {
  EXPECT_THAT(
      problems("[listen]\nproxy_port = 0\nadmn = \"x\"\n[log]\nlevel = 3\n[nonsense]\nx = 1\n"),
      ElementsAre(HasSubstr("f.toml:2: listen.proxy_port"), HasSubstr("f.toml:3: unknown key listen.admn"),
                  HasSubstr("f.toml:5: log.level"), HasSubstr("f.toml:6: unknown table [nonsense]; the tables are:")));
}

TEST(Config, BrokenTomlNamesTheLine) {
  EXPECT_THAT(only_problem("[paths]\ndata_dir = \"/x\n"), HasSubstr("f.toml:2: not TOML: "));
  EXPECT_THAT(only_problem("[paths]\n[paths]\n"), HasSubstr("f.toml:2: not TOML: "));
  EXPECT_THAT(only_problem(std::string_view("a\0b", 3)), HasSubstr("not TOML"));
}

class ConfigFile : public testing::Test {
 protected:
  std::string write(const std::string& text) {
    path_ = testing::TempDir() + "config_test_" + std::to_string(::getpid()) + ".toml";
    std::ofstream(path_) << text;
    return path_;
  }
  void TearDown() override { ::unlink(path_.c_str()); }
  std::string path_;
};

TEST_F(ConfigFile, NamedOneMustExist) {
  const LoadedConfig loaded = load_config("/nonexistent/causeway.toml");
  ASSERT_EQ(loaded.problems.size(), 1U);
  EXPECT_THAT(loaded.problems[0].message(), HasSubstr("/nonexistent/causeway.toml: cannot be read: No such file"));
}

TEST_F(ConfigFile, DirectoriesAndHugeFilesAreRefused) {
  EXPECT_THAT(load_config("/tmp").problems.at(0).message(), HasSubstr("not a regular file"));
  EXPECT_THAT(load_config(write(std::string(2 * 1024 * 1024, '#'))).problems.at(0).message(),
              HasSubstr("larger than 1 MiB"));
}

TEST_F(ConfigFile, CheckAnswersByExitCode) {
  EXPECT_EQ(check_config(write("[log]\nlevel = \"warn\"\n")), 0);
  EXPECT_EQ(check_config(write("[log]\nlevl = \"warn\"\n")), 1);
}

TEST(ConfigKeys, EveryTableOfAKeyIsDescribed) {
  for (const ConfigKey& key : config_keys()) {
    bool found = false;
    for (const ConfigTable& table : config_tables()) found = found || table.name == key.table;
    EXPECT_TRUE(found) << key.full_name();
  }
}

// CAUSEWAY_UPDATE_PAGES=1 writes the page instead.
TEST(ConfigKeys, PageIsWhatTheTableMakes) {
  const std::filesystem::path path = std::filesystem::path(__FILE__).parent_path() / "../../../docs/configuration.md";
  if (std::getenv("CAUSEWAY_UPDATE_PAGES") != nullptr) std::ofstream(path) << configuration_page();
  std::stringstream page;
  page << std::ifstream(path).rdbuf();
  EXPECT_EQ(page.str(), configuration_page())
      << "run agent_test with CAUSEWAY_UPDATE_PAGES=1 and commit docs/configuration.md";
}

TEST(ConfigKeys, TheFileOfDefaultsOnThePageIsValid) {
  const std::string page = configuration_page();
  const std::size_t from = page.find("```toml\n", page.find("## A file with every key")) + 8;
  const std::string text = page.substr(from, page.rfind("```") - from);
  const LoadedConfig loaded = parse_config(text, "page");
  EXPECT_THAT(loaded.problems, IsEmpty()) << loaded.problems.front().message();
  EXPECT_EQ(loaded.config.listen.api, Config{}.listen.api);
  ServiceSettings settings;
  for (const auto& [key, value] : loaded.config.defaults) setting(key).set(settings, value);
  EXPECT_EQ(settings, ServiceSettings{});
}

}  // namespace
}  // namespace causeway::agent
