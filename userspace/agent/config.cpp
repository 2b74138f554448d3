#include "agent/config.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>
#include <thread>

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config_keys.h"
#include "agent/config_settings.h"
#include "base/fd.h"
#include "base/nearest.h"
#include "base/result.h"

namespace causeway::agent {
namespace {

constexpr std::size_t kMaxFileBytes = 1024 * 1024;

/// Reads the tables of one file, noting where each key stood for the checks that compare keys.
class Reader {
 public:
  explicit Reader(std::string_view file) : file_(file) {}

  void read(const toml::table& root) {
    for (const auto& [name, value] : root) {
      const unsigned line = name.source().begin.line;
      if (read_service_settings(name.str(), value)) continue;
      const auto known = std::find_if(config_tables().begin(), config_tables().end(),
                                      [&n = name](const ConfigTable& table) { return table.name == n.str(); });
      if (known == config_tables().end()) {
        problem(line, unknown_top(name.str(), value));
      } else if (const toml::table* table = value.as_table()) {
        read_table(name.str(), *table);
      } else {
        problem(line, fmt::format("{0} must be a table, written as [{0}], not {1}", name.str(), describe(value)));
      }
    }
  }

  void compare_keys();
  LoadedConfig take() {
    std::stable_sort(out_.problems.begin(), out_.problems.end(),
                     [](const auto& a, const auto& b) { return a.line < b.line; });
    return std::move(out_);
  }
  void problem(unsigned line, std::string text) { out_.problems.push_back({file_, line, std::move(text)}); }

 private:
  /// False: it is none of the two tables of services' settings.
  bool read_service_settings(std::string_view name, const toml::node& value) {
    if (name != "defaults" && name != "service") return false;
    const auto* table = value.as_table();
    if (table == nullptr) {
      problem(value.source().begin.line,
              fmt::format("{0} must be a table, written as [{0}{1}], not {2}", name,
                          name == "service" ? ".\"NAMESPACE/DISCOVERY-NAME\"" : "", describe(value)));
      return true;
    }
    const auto tell = [this](unsigned line, std::string text) { problem(line, std::move(text)); };
    if (name == "defaults") read_settings("defaults", *table, out_.config.defaults, tell);
    if (name == "service") read_service_tables(*table, out_.config.services, tell);
    return true;
  }

  void read_table(std::string_view table_name, const toml::table& table) {
    for (const auto& [name, value] : table) {
      const unsigned line = name.source().begin.line;
      const std::string full = fmt::format("{}.{}", table_name, name.str());
      const auto key = std::find_if(config_keys().begin(), config_keys().end(),
                                    [&full](const ConfigKey& k) { return k.full_name() == full; });
      if (key == config_keys().end()) {
        problem(line, unknown_key(table_name, name.str()));
        continue;
      }
      lines_[full] = line;
      if (const auto wrong = key->set(value, out_.config)) problem(line, fmt::format("{} {}", full, *wrong));
    }
  }

  static std::string unknown_top(std::string_view name, const toml::node& value) {
    if (!value.is_table()) {  // a key outside its table
      for (const ConfigKey& key : config_keys()) {
        if (key.name == name) return fmt::format("unknown key \"{}\": it belongs into the table [{}]", name, key.table);
      }
      if (find_setting(name) != nullptr)
        return fmt::format("unknown key \"{}\": it belongs into the table [defaults]", name);
    }
    std::vector<std::string> tables;
    for (const ConfigTable& table : config_tables()) tables.emplace_back(table.name);
    tables.insert(tables.end(), {"defaults", "service"});
    const auto near = nearest(name, tables);
    if (near) return fmt::format("unknown table [{}]; did you mean [{}]?", name, *near);
    return fmt::format("unknown table [{}]; the tables are: {}", name, join(tables, ", "));
  }

  static std::string unknown_key(std::string_view table, std::string_view name) {
    std::vector<std::string> here;
    for (const ConfigKey& key : config_keys()) {
      if (key.table == table) here.emplace_back(key.name);
    }
    const std::string asked = fmt::format("unknown key {}.{}", table, name);
    if (const auto near = nearest(name, here)) return fmt::format("{}; did you mean {}.{}?", asked, table, *near);
    for (const ConfigKey& key : config_keys()) {
      if (key.name == name) return fmt::format("{}; did you mean {}?", asked, key.full_name());
    }
    if (find_setting(name) != nullptr) return fmt::format("{}; did you mean defaults.{}?", asked, name);
    return fmt::format("{}; the keys of [{}] are: {}", asked, table, join(here, ", "));
  }

  /// The line of whichever of the two keys stands in the file, the later one of both.
  unsigned line_of(const std::string& a, const std::string& b) const {
    const auto find = [this](const std::string& k) { return lines_.contains(k) ? lines_.at(k) : 0U; };
    return std::max(find(a), find(b));
  }
  void compare_ranges();
  void compare_listeners();

  std::string file_;
  LoadedConfig out_;
  std::map<std::string, unsigned> lines_;
};

void Reader::compare_ranges() {
  const Config::Addresses& a = out_.config.addresses;
  const auto overlap = [](const IpPrefix& x, const IpPrefix& y) { return x.contains(y.base) || y.contains(x.base); };
  if (overlap(a.alias_v4, a.task_v4)) {
    problem(line_of("addresses.alias_v4", "addresses.task_v4"),
            fmt::format("addresses.alias_v4 {} and addresses.task_v4 {} overlap; give each its own range",
                        a.alias_v4.to_string(), a.task_v4.to_string()));
  }
  if (!IpPrefix::parse("127.0.0.0/8")->contains(a.task_v4.base)) {
    problem(line_of("addresses.task_v4", ""),
            fmt::format("addresses.task_v4 {} must lie in 127.0.0.0/8", a.task_v4.to_string()));
  }
  const IpAddress localhost = IpAddress::v4(0x7f000001);
  const std::pair<const char*, const IpPrefix*> ranges[] = {
      {"addresses.alias_v4", &a.alias_v4}, {"addresses.alias_v6", &a.alias_v6}, {"addresses.task_v4", &a.task_v4}};
  for (const auto& [name, range] : ranges) {
    for (const IpAddress& taken : {localhost, *IpAddress::parse("::1"), IpAddress::v4(0)}) {
      if (!range->contains(taken)) continue;
      problem(line_of(name, ""), fmt::format("{} {} must not contain {}", name, range->to_string(), taken.to_string()));
    }
  }
}

void Reader::compare_listeners() {
  const Config& c = out_.config;
  struct Listener {
    std::string name;
    SocketAddress at;
  };
  const std::vector<Listener> all{{"listen.api", c.listen.api},
                                  {"listen.admin", c.listen.admin},
                                  {"listen.dns", c.listen.dns},
                                  {"listen.dns6", c.listen.dns6},
                                  {"listen.proxy_port", {IpAddress::v4(0x7f000001), c.listen.proxy_port}},
                                  {"listen.proxy_port", {*IpAddress::parse("::1"), c.listen.proxy_port}}};
  const auto any = [](const IpAddress& ip) { return ip == IpAddress::v4(0) || ip == IpAddress(); };
  const auto clash = [&any](const SocketAddress& x, const SocketAddress& y) {
    if (x.port != y.port) return false;
    // A wildcard :: listener takes IPv4 too.
    if (x.ip == IpAddress() || y.ip == IpAddress()) return true;
    return x.ip == y.ip || (x.ip.is_v4() == y.ip.is_v4() && (any(x.ip) || any(y.ip)));
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = i + 1; j < all.size(); ++j) {
      if (all[i].name == all[j].name || !clash(all[i].at, all[j].at)) continue;
      problem(line_of(all[i].name, all[j].name),
              fmt::format("{} {} and {} {} are the same port of the same address; change one of them", all[i].name,
                          all[i].at.to_string(), all[j].name, all[j].at.to_string()));
    }
    for (const IpPrefix& range : {c.addresses.alias_v4, c.addresses.alias_v6, c.addresses.task_v4}) {
      // A range around localhost is reported as such, once.
      if (!range.contains(all[i].at.ip) || range.contains(IpAddress::v4(0x7f000001))) continue;
      problem(line_of(all[i].name, ""), fmt::format("{} {} lies in the range {} that addresses are given from",
                                                    all[i].name, all[i].at.to_string(), range.to_string()));
    }
  }
  for (const SocketAddress& resolver : c.dns.resolvers) {
    if (resolver == c.listen.dns || resolver == c.listen.dns6 || c.addresses.alias_v4.contains(resolver.ip)) {
      problem(line_of("dns.resolvers", ""),
              fmt::format("dns.resolvers names {}, which is the agent itself; name another resolver",
                          resolver.to_string()));
    }
  }
}

void Reader::compare_keys() {
  compare_ranges();
  compare_listeners();
  if (out_.config.access_log.enabled && out_.config.access_log.path.empty()) {
    problem(line_of("access_log.enabled", "access_log.path"),
            "access_log.enabled is true, but access_log.path is empty; say where the lines go");
  }
}

Result<std::string> read_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return errno_error(errno, "read", path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return errno_error(errno, "read", path);
  if (!S_ISREG(info.st_mode)) return make_error("read", path, "not a regular file");
  std::string text;
  char buffer[16384];
  for (;;) {
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error(errno, "read", path);
    if (n == 0) return {boost::system::in_place_value, std::move(text)};
    text.append(buffer, static_cast<std::size_t>(n));
    if (text.size() > kMaxFileBytes) return make_error("read", path, "larger than 1 MiB");
  }
}

}  // namespace

std::string ConfigProblem::message() const {
  return line == 0 ? fmt::format("{}: {}", file, text) : fmt::format("{}:{}: {}", file, line, text);
}

LoadedConfig parse_config(std::string_view text, std::string_view file) {
  Reader reader(file);
  try {
    const toml::table root = toml::parse(text, file);
    reader.read(root);
    reader.compare_keys();
  } catch (const toml::parse_error& error) {
    reader.problem(error.source().begin.line, fmt::format("not TOML: {}", error.description()));
  }
  return reader.take();
}

LoadedConfig load_config(const std::optional<std::string>& path) {
  const std::string file = path.value_or(std::string(kDefaultConfigPath));
  const auto text = read_file(file);
  if (text) return parse_config(*text, file);
  if (!path && text.error().code == ENOENT) return {};
  LoadedConfig out;
  out.problems.push_back({file, 0, fmt::format("cannot be read: {}", text.error().cause)});
  return out;
}

int check_config(const std::optional<std::string>& path) {
  const LoadedConfig loaded = load_config(path);
  for (const ConfigProblem& problem : loaded.problems) std::fprintf(stderr, "%s\n", problem.message().c_str());
  if (!loaded.ok()) return 1;
  const std::string file = path.value_or(std::string(kDefaultConfigPath));
  const bool there = ::access(file.c_str(), F_OK) == 0;
  std::printf("%s: %s\n", file.c_str(), there ? "configuration is valid" : "is not there; the defaults hold");
  return 0;
}

unsigned Config::proxy_workers() const {
  if (proxy.workers != 0) return proxy.workers;
  return std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
}

std::string Config::socket_path() const {
  return paths.run_dir + "/agent.sock";
}
std::string Config::lock_path() const {
  return paths.run_dir + "/agent.lock";
}
std::string Config::store_path() const {
  return paths.data_dir + "/causeway.db";
}
std::string Config::credentials_path() const {
  return paths.data_dir + "/credentials.json";
}

std::string Config::api_url() const {
  SocketAddress at = listen.api;
  if (at.ip == IpAddress::v4(0)) at.ip = IpAddress::v4(0x7f000001);
  if (at.ip == IpAddress()) at.ip = *IpAddress::parse("::1");
  return "http://" + at.to_string();
}

std::string configuration_page() {
  std::string page =
      "# Configuration\n\n"
      "`causewayd` reads one TOML file, `/etc/causeway/causeway.toml` unless `--config FILE` names another. Every key "
      "has a\n"
      "default, and without the file all of them hold. `causewayd --check` reports everything that is wrong with a "
      "file, with\n"
      "its line, and changes nothing. It is read when the agent starts: SIGHUP opens the access log again, no more. The\n"
      "`causeway` command reads the same file to find the agent's socket.\n\n"
      "This page is made from the table in `userspace/agent/config_keys.cpp`.\n";
  Config defaults;
  for (const ConfigTable& table : config_tables()) {
    page += fmt::format("\n## [{}]\n\n{}\n\n| key | default | takes | meaning |\n|---|---|---|---|\n", table.name,
                        table.text);
    for (const ConfigKey& key : config_keys()) {
      if (key.table != table.name) continue;
      page += fmt::format("| `{}` | `{}` | {} | {} |\n", key.name, key.show(defaults), key.expects, key.text);
    }
  }
  page += settings_section();
  page += "\n## A file with every key at its default\n\n```toml\n";
  for (const ConfigTable& table : config_tables()) {
    page += fmt::format("{}[{}]\n", table.name == config_tables().front().name ? "" : "\n", table.name);
    for (const ConfigKey& key : config_keys()) {
      if (key.table == table.name) page += fmt::format("{} = {}\n", key.name, key.show(defaults));
    }
  }
  return page + default_settings_toml() + "```\n";
}

}  // namespace causeway::agent
