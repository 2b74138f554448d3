#include "agent/config_keys.h"

#include <sys/socket.h>

#include "agent/config_types.h"

namespace causeway::agent {
namespace {

using namespace types;

// sockaddr_un takes 107 bytes: "/agent.sock" and room for longer names beside it.
constexpr std::size_t kRunDirBytes = 90;
constexpr std::string_view kLowerDigitsDash = "abcdefghijklmnopqrstuvwxyz0123456789-";
constexpr std::string_view kAccountAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

ConfigKey key(std::string_view table, std::string_view name, Kind kind, std::string_view text) {
  return {table, name, std::move(kind.expects), text, std::move(kind.set), std::move(kind.show)};
}

#define FIELD(type, member) [](Config& c) -> type& { return c.member; }

std::vector<ConfigKey> make_keys() {
  std::vector<ConfigKey> keys;
  const auto add = [&keys](std::string_view table, std::string_view name, Kind kind, std::string_view text) {
    keys.push_back(key(table, name, std::move(kind), text));
  };

  add("paths", "data_dir", absolute_path(FIELD(std::string, paths.data_dir), 200, Empty::refused),
      "The store and the API's key pair. Survives restarts; readable by root alone.");
  add("paths", "run_dir", absolute_path(FIELD(std::string, paths.run_dir), kRunDirBytes, Empty::refused),
      "The socket `agent.sock` of the `causeway` command, and the lock that keeps a second agent out.");
  add("paths", "pin_root", absolute_path(FIELD(std::string, paths.pin_root), 200, Empty::refused),
      "Where BPF maps and links are pinned. bpffs is mounted above it where it is not.");

  add("cgroup", "mount", absolute_path(FIELD(std::string, cgroup.mount), 200, Empty::allowed),
      "The cgroup v2 mount. Empty: found in `/proc/self/mountinfo`, on hybrid hierarchies too.");
  add("cgroup", "subtree", relative_path(FIELD(std::string, cgroup.subtree)),
      "Directory below the mount that the agent owns: the agent runs in `SUBTREE/agent`, each task in "
      "`SUBTREE/tasks/ID`.");
  add("cgroup", "attach", absolute_path(FIELD(std::string, cgroup.attach), 200, Empty::allowed),
      "The cgroup whose processes are intercepted. Empty: the mount's root, that is every process of the host.");

  add("listen", "api", address(FIELD(SocketAddress, listen.api), AF_UNSPEC), "The AWS API.");
  add("listen", "admin", address(FIELD(SocketAddress, listen.admin), AF_UNSPEC),
      "`/metrics`, `/healthz` and `/readyz`, over HTTP without authentication.");
  add("listen", "dns", address(FIELD(SocketAddress, listen.dns), AF_INET),
      "The DNS server over IPv4, UDP and TCP; captured queries go there too.");
  add("listen", "dns6", address(FIELD(SocketAddress, listen.dns6), AF_INET6), "The same over IPv6.");
  add("listen", "proxy_port",
      integer(
          1, 65535, [](Config& c, std::uint64_t v) { c.listen.proxy_port = static_cast<std::uint16_t>(v); },
          [](Config& c) -> std::uint64_t { return c.listen.proxy_port; }),
      "The proxy's outbound port, on 127.0.0.1 and ::1: intercepted connections arrive there.");

  add("addresses", "alias_v4", prefix(FIELD(IpPrefix, addresses.alias_v4), AF_INET, 8, 30),
      "Virtual IPv4 addresses of aliases. Nothing is configured on an interface: the kernel part takes their "
      "connections.");
  add("addresses", "alias_v6", prefix(FIELD(IpPrefix, addresses.alias_v6), AF_INET6, 16, 120),
      "The same over IPv6. The default is the discard-only range of RFC 6666.");
  add("addresses", "task_v4", prefix(FIELD(IpPrefix, addresses.task_v4), AF_INET, 9, 30),
      "Addresses of tasks, one each; must lie in 127.0.0.0/8, which every host can bind without configuration.");

  add("aws", "region",
      word(FIELD(std::string, aws.region), "a region name of 1 to 32 lower-case letters, digits and dashes",
           kLowerDigitsDash, 1, 32),
      "In ARNs and in the signatures of API requests.");
  add("aws", "account", word(FIELD(std::string, aws.account), "a string of 12 digits", "0123456789", 12, 12),
      "In ARNs.");

  add("proxy", "workers",
      integer(
          0, 16, [](Config& c, std::uint64_t v) { c.proxy.workers = static_cast<unsigned>(v); },
          [](Config& c) -> std::uint64_t { return c.proxy.workers; }),
      "Threads of the proxy. 0: as many as processors, at most 4.");
  add("proxy", "user",
      word(FIELD(std::string, proxy.user), "an account's name of at most 32 characters, or its number",
           kAccountAlphabet, 0, 32),
      "The account that the proxy runs as. Empty: `causeway-proxy` where it exists, otherwise `nobody`. Never root.");
  add("proxy", "drain_seconds",
      integer(
          0, 3600, [](Config& c, std::uint64_t v) { c.proxy.drain = std::chrono::seconds(v); },
          [](Config& c) { return static_cast<std::uint64_t>(c.proxy.drain.count()); }),
      "How long connections may go on at most when the agent stops. When an endpoint leaves: drain_timeout of its service, "
      "[settings.md](settings.md).");

  add("dns", "capture", boolean(FIELD(bool, dns.capture)),
      "Whether the kernel takes intercepted processes' queries, to whatever resolver, to the agent.");
  add("dns", "resolvers", resolvers(FIELD(std::vector<SocketAddress>, dns.resolvers)),
      "Where queries that were sent to the agent itself are forwarded to. Empty: those of `/etc/resolv.conf`. "
      "Captured ones go to the resolver that was asked.");

  add("log", "level", log_level(FIELD(log::Level, log.level)), "Lines below it are not written.");
  return keys;
}

#undef FIELD

}  // namespace

const std::vector<ConfigTable>& config_tables() {
  static const std::vector<ConfigTable> tables{
      {"paths", "Where the agent keeps things. Several agents on one machine need different ones."},
      {"cgroup", "Which processes are intercepted, and where tasks live."},
      {"listen", "Addresses and ports of the agent's own listeners."},
      {"addresses",
       "Ranges that addresses are given from; they must not overlap. A range in use can only be changed "
       "after its aliases or tasks are gone."},
      {"aws", "How the AWS API names things."},
      {"proxy", "The proxy process."},
      {"dns", "Name resolution."},
      {"log", "The agent's log, on standard error."},
  };
  return tables;
}

const std::vector<ConfigKey>& config_keys() {
  static const std::vector<ConfigKey> keys = make_keys();
  return keys;
}

}  // namespace causeway::agent
