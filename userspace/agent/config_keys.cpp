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

/// A field that is a whole number.
template <std::uint32_t feed::ProxyLimits::*kMember>
Kind number(std::uint64_t min, std::uint64_t max, bool or_zero = false) {
  return integer(
      min, max, [](Config& c, std::uint64_t v) { c.limits.*kMember = static_cast<std::uint32_t>(v); },
      [](Config& c) -> std::uint64_t { return c.limits.*kMember; }, or_zero);
}

/// A time that is given in whole seconds.
template <std::chrono::milliseconds feed::ProxyLimits::*kMember>
Kind seconds(std::uint64_t min, std::uint64_t max) {
  return integer(
      min, max, [](Config& c, std::uint64_t v) { c.limits.*kMember = std::chrono::seconds(v); },
      [](Config& c) {
        return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(c.limits.*kMember).count());
      });
}

/// How much a map of the kernel is to hold.
template <std::uint32_t kernel::MapSizes::*kMember>
Kind size(std::uint64_t max) {
  return integer(
      1, max, [](Config& c, std::uint64_t v) { c.kernel.*kMember = static_cast<std::uint32_t>(v); },
      [](Config& c) -> std::uint64_t { return c.kernel.*kMember; });
}

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
      "How long connections may go on at most when the agent stops. When an endpoint leaves: drain_timeout of its "
      "service, "
      "[settings.md](settings.md).");

  using feed::ProxyLimits;
  add("limits", "header_bytes", number<&ProxyLimits::header_bytes>(1024, 65536),
      "Bytes of a request's head, request line included. A longer one is answered 431, or 414 within its first line.");
  add("limits", "header_fields", number<&ProxyLimits::header_fields>(1, 1000),
      "Header fields of a request. More are answered 431.");
  add("limits", "header_seconds", seconds<&ProxyLimits::header_time>(1, 3600),
      "How long a request's head may take from its first byte to its last. A slower one is answered 408.");
  add("limits", "body_idle_seconds", seconds<&ProxyLimits::body_idle>(0, 86400),
      "How long a request's body may pause; a shorter http_idle_timeout of the service ends it sooner. 408 after that. "
      "0: "
      "as long as the service's.");
  add("limits", "connections", number<&ProxyLimits::connections>(1, 4'000'000),
      "Connections of clients that the proxy takes in all.");
  add("limits", "connections_per_workload", number<&ProxyLimits::connections_per_workload>(0, 4'000'000),
      "Of one workload: an ECS service's tasks on this host together, or all processes outside tasks. 0: three "
      "quarters "
      "of connections, or of half of the descriptors where those are fewer.");
  add("limits", "descriptors", number<&ProxyLimits::descriptors>(64, 4'000'000, true),
      "File descriptors that the proxy may use. An eighth is kept for connections to endpoints. 0, or more than the "
      "hard limit of open files: that limit.");

  using kernel::MapSizes;
  add("kernel", "max_services", size<&MapSizes::services>(1'000'000), "Services.");
  add("kernel", "max_endpoints", size<&MapSizes::endpoints>(4'000'000),
      "Endpoints of all services together. A change of a service needs room for its old and its new ones for a "
      "moment.");
  add("kernel", "max_aliases", size<&MapSizes::aliases>(4'000'000),
      "Names of aliases, by port. An alias without a dnsName has two names.");
  add("kernel", "max_tasks", size<&MapSizes::tasks>(1'000'000), "Tasks of this host, of four ports each on average.");

  add("dns", "capture", boolean(FIELD(bool, dns.capture)),
      "Whether the kernel takes intercepted processes' queries, to whatever resolver, to the agent.");
  add("dns", "resolvers", resolvers(FIELD(std::vector<SocketAddress>, dns.resolvers)),
      "Where queries that were sent to the agent itself are forwarded to. Empty: those of `/etc/resolv.conf`. "
      "Captured ones go to the resolver that was asked.");

  add("log", "level", log_level(FIELD(log::Level, log.level)), "Lines below it are not written.");

  add("access_log", "path", path_or_word(FIELD(std::string, access_log.path), 200, "stdout"),
      "Where lines go: a file that is appended to, made if it is not there, or \"stdout\", the agent's standard "
      "output. "
      "Empty: nothing is logged, whatever a service asks for.");
  add("access_log", "enabled", boolean(FIELD(bool, access_log.enabled)),
      "Whether requests to services without an `accessLogConfiguration` are logged too.");
  add("access_log", "format", access_log_format(FIELD(AccessLogFormat, access_log.format)),
      "Of those services' lines.");
  add("access_log", "include_query_parameters", boolean(FIELD(bool, access_log.include_query_parameters)),
      "Whether those services' paths are logged with their query, which may hold secrets.");
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
      {"limits",
       "What the proxy's clients may use; [limits.md](limits.md) has what happens beyond, and what counts it."},
      {"kernel",
       "How much the kernel's tables hold; [limits.md](limits.md) has what they take, and what happens beyond. Tables "
       "that a killed agent left keep their sizes until `causeway detach`."},
      {"dns", "Name resolution."},
      {"log", "The agent's log, on standard error."},
      {"access_log",
       "Requests and relayed connections, one a line; see [access-log.md](access-log.md). A service is logged if its "
       "`accessLogConfiguration` asks for it, with the format given there."},
  };
  return tables;
}

const std::vector<ConfigKey>& config_keys() {
  static const std::vector<ConfigKey> keys = make_keys();
  return keys;
}

}  // namespace causeway::agent
