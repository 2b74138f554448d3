#pragma once
// The agent's settings: one TOML file, every key with a default. The table of keys in config_keys.cpp is the only place
// that knows names, types, ranges and texts; docs/configuration.md is made from it.
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/log.h"
#include "feed/limits.h"
#include "kernel/sizes.h"
#include "model/settings_table.h"
#include "model/snapshot.h"

namespace causeway::agent {

inline constexpr std::string_view kDefaultConfigPath = "/etc/causeway/causeway.toml";

struct Config {
  struct Paths {
    std::string data_dir = "/var/lib/causeway";
    std::string run_dir = "/run/causeway";
    std::string pin_root = "/sys/fs/bpf/causeway";
  } paths;

  struct Cgroup {
    std::string mount;                 ///< cgroup v2 mount; "": found in /proc/self/mountinfo
    std::string subtree = "causeway";  ///< below the mount: the agent's own directory
    std::string attach;                ///< directory that programs are attached to; "": the mount's root
  } cgroup;

  struct Listen {
    SocketAddress api{IpAddress::v4(0x7f000001), 7070};
    SocketAddress admin{IpAddress::v4(0x7f000001), 7071};
    SocketAddress dns{IpAddress::v4(0x7f000001), 15053};
    SocketAddress dns6{*IpAddress::parse("::1"), 15053};
    std::uint16_t proxy_port = 15001;  ///< on 127.0.0.1 and ::1
  } listen;

  struct Addresses {
    IpPrefix alias_v4 = *IpPrefix::parse("127.255.0.0/16");
    IpPrefix alias_v6 = *IpPrefix::parse("100::/64");
    IpPrefix task_v4 = *IpPrefix::parse("127.254.0.0/16");
  } addresses;

  struct Aws {
    std::string region = "us-east-1";
    std::string account = "000000000000";  ///< 12 digits
  } aws;

  struct Proxy {
    unsigned workers = 0;  ///< 0: min(4, cores); see proxy_workers()
    std::string user;      ///< "": causeway-proxy where that account exists, otherwise nobody; see account.h
    std::chrono::seconds drain{20};
  } proxy;

  feed::ProxyLimits limits;
  kernel::MapSizes kernel;

  struct Dns {
    bool capture = true;
    std::vector<SocketAddress> resolvers;  ///< empty: those of /etc/resolv.conf
  } dns;

  struct Log {
    log::Level level = log::Level::info;
  } log;

  struct AccessLog {
    std::string path = "/var/log/causeway/access.log";  ///< or "stdout"; "": nothing is logged
    bool enabled = false;                               ///< also for services that do not ask for it
    AccessLogFormat format = AccessLogFormat::text;
    bool include_query_parameters = false;
  } access_log;
  /// Settings of services, where the API does not give them: docs/settings.md.
  SettingValues defaults;
  std::map<std::string, SettingValues> services;  ///< by "namespace/discovery-name", lower case

  unsigned proxy_workers() const;        ///< 1..observe::kMaxWorkers
  std::string socket_path() const;       ///< run_dir/agent.sock
  std::string lock_path() const;         ///< run_dir/agent.lock
  std::string store_path() const;        ///< data_dir/causeway.db
  std::string credentials_path() const;  ///< data_dir/credentials.json
  std::string api_url() const;           ///< "http://127.0.0.1:7070", as a client on this host reaches it
};

/// One thing wrong with a configuration.
struct ConfigProblem {
  std::string file;
  unsigned line = 0;  ///< 1-based; 0: the file as a whole
  std::string text;

  std::string message() const;  ///< "FILE:LINE: TEXT"
};

/// The settings read, and everything that is wrong with them. With problems, `config` must not be used.
struct LoadedConfig {
  Config config;
  std::vector<ConfigProblem> problems;

  bool ok() const { return problems.empty(); }
};

/// Parses TOML text; `file` is what problems name. Touches nothing but its arguments.
LoadedConfig parse_config(std::string_view text, std::string_view file);

/// Reads `path`; without one, kDefaultConfigPath, whose absence means the defaults.
LoadedConfig load_config(const std::optional<std::string>& path);

/// `causewayd --check`: prints all problems to standard error, or one line that says the file is fine to standard
/// output. Returns the exit code: 0 or 1.
int check_config(const std::optional<std::string>& path);

/// docs/configuration.md, from the table of keys.
std::string configuration_page();

}  // namespace causeway::agent
