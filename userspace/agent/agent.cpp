#include "agent/agent.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/access_log_output.h"
#include "agent/account.h"
#include "agent/admin_service.h"
#include "agent/agent_lock.h"
#include "agent/data_path.h"
#include "agent/dns_service.h"
#include "agent/kernel_totals.h"
#include "agent/kernel_watch.h"
#include "agent/layout.h"
#include "agent/listeners.h"
#include "agent/local_api.h"
#include "agent/proxy_process.h"
#include "agent/proxy_watch.h"
#include "agent/task_supervisor.h"
#include "base/log.h"
#include "control/api.h"
#include "control/controller.h"
#include "kernel/plane.h"
#include "store/sqlite_store.h"

namespace causeway::agent {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto kVerifyEvery = 30s;
constexpr auto kForgetEvery = 10min;
/// An operation that the data path has not taken by then has failed.
constexpr auto kOperationLimit = 30s;
/// A task whose kernel maps are not written by then is refused.
constexpr auto kKernelLimit = 5s;

Result<void> make_directory(const std::string& path, mode_t mode) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return errno_error(errno, "make directory", path);
  return {};
}

std::string proxy_binary() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path() / "causeway-proxy").string();
}

Error with_key(Error error, std::string_view key) {
  error.cause += fmt::format(" (the address is set by {})", key);
  return error;
}

control::Settings control_settings(const Config& config) {
  control::Settings settings;
  settings.region = config.aws.region;
  settings.account = config.aws.account;
  settings.alias_v4 = config.addresses.alias_v4;
  settings.alias_v6 = config.addresses.alias_v6;
  settings.task_v4 = config.addresses.task_v4;
  settings.access_log_allowed = !config.access_log.path.empty();
  if (config.access_log.enabled)
    settings.access_log = {config.access_log.format, config.access_log.include_query_parameters};
  settings.default_settings = config.defaults;
  settings.service_settings = config.services;
  return settings;
}

}  // namespace

struct Agent::State {
  State(asio::io_context& c, Config cfg)
      : context(c), config(std::move(cfg)), verify_timer(c), forget_timer(c), operations_timer(c) {}

  Result<void> start();
  std::string jail() const { return config.paths.run_dir + "/empty"; }
  void undo_start();
  void leave_host();
  Result<void> start_control();
  Result<void> start_interfaces();
  Result<void> start_kernel();
  Result<void> start_proxy();
  Result<void> start_dns();
  void connect_parts();
  void first_revision_reached();
  void end_orphans();
  KernelView kernel_view() const;
  void verify_interception();
  void forget_old();
  void end_late_operations();
  void when_kernel_acts(std::function<void(bool)> done);
  RuntimeStatus runtime_status() const;
  void stop();
  void finish_stop();

  asio::io_context& context;
  Config config;
  SystemClock clock;
  FastRandom random;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();

  Fd lock;
  Layout layout;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<control::Controller> controller;
  control::Credentials credentials;
  std::unique_ptr<kernel::Plane> plane;
  std::optional<observe::Slab> slab;
  std::vector<Orphan> orphans;
  std::unique_ptr<ProxyProcess> proxy;
  std::unique_ptr<ProxyWatch> proxy_watch;
  std::unique_ptr<AccessLogOutput> access_log;
  std::unique_ptr<DnsService> dns;
  std::unique_ptr<DataPath> data_path;
  std::unique_ptr<TaskSupervisor> supervisor;
  std::unique_ptr<web::Server> api;
  std::unique_ptr<web::Server> local_api;
  std::unique_ptr<AdminService> admin;
  std::unique_ptr<KernelWatch> kernel_watch;
  asio::steady_timer verify_timer;
  asio::steady_timer forget_timer;
  asio::steady_timer operations_timer;
  std::optional<bool> interception_effective;
  bool ready = false;
  bool stopping = false;
};

Result<void> Agent::State::start() {
  if (::geteuid() != 0) {
    return make_error("start causewayd", "", "it must run as root (it loads BPF programs and opens cgroups); try sudo");
  }
  if (auto made = make_directory(config.paths.run_dir, 0755); !made) return made.error();
  auto taken = take_agent_lock(config.lock_path());
  if (!taken) return taken.error();
  lock = std::move(*taken);
  auto made = make_layout(config);
  if (!made) return made.error();
  layout = std::move(*made);
  if (auto entered = enter_agent_cgroup(layout); !entered) return entered.error();

  // Whatever can refuse (store, ports) comes before the kernel part, which touches other programs' traffic.
  for (const auto step : {&State::start_control, &State::start_interfaces, &State::start_kernel, &State::start_proxy,
                          &State::start_dns}) {
    if (auto done = (this->*step)(); !done) {
      undo_start();
      return done.error();
    }
  }
  connect_parts();
  return {};
}

void Agent::State::undo_start() {
  if (proxy) proxy->kill();
  if (!orphans.empty()) return;  // they go on serving, with what is attached for them
  if (plane) (void)plane->stop();
  leave_host();
}

void Agent::State::leave_host() {
  if (local_api) ::unlink(config.socket_path().c_str());
  ::rmdir(jail().c_str());
  leave_layout(layout);
  release_agent_lock(std::move(lock), config.lock_path());
}

Result<void> Agent::State::start_control() {
  auto opened = store::SqliteStore::open(config.store_path());
  if (!opened) return opened.error();
  store = std::move(*opened);
  controller = std::make_unique<control::Controller>(*store, control_settings(config), clock, random);
  if (auto loaded = controller->start(); !loaded) return loaded.error();
  auto keys = control::load_or_create_credentials(config.credentials_path());
  if (!keys) return keys.error();
  credentials = std::move(*keys);

  SupervisorOptions options;
  options.tasks_cgroup = layout.tasks;
  options.is_listening = kernel::is_listening;
  supervisor = std::make_unique<TaskSupervisor>(context.get_executor(), *controller, std::move(options));
  return {};
}

Result<void> Agent::State::start_interfaces() {
  api = std::make_unique<web::Server>(context.get_executor(),
                                      control::make_api(*controller, credentials, clock, config.aws.region));
  if (auto listening = api->listen_tcp(config.listen.api); !listening) return with_key(listening.error(), "listen.api");
  LocalApiSources sources{config,
                          *controller,
                          *supervisor,
                          credentials,
                          [this] { return runtime_status(); },
                          [this](std::function<void(bool)> done) { when_kernel_acts(std::move(done)); },
                          kernel_view()};
  local_api = std::make_unique<web::Server>(context.get_executor(), make_local_api(std::move(sources)));
  if (auto listening = local_api->listen_unix(config.socket_path(), 0600); !listening) return listening.error();
  auto counters = observe::Slab::create(config.proxy_workers());
  if (!counters) return counters.error();
  slab.emplace(std::move(*counters));
  admin = std::make_unique<AdminService>(context.get_executor());
  if (auto listening = admin->listen(config.listen.admin); !listening)
    return with_key(listening.error(), "listen.admin");
  return {};
}

Result<void> Agent::State::start_kernel() {
  kernel::PlaneOptions options;
  options.pin_root = config.paths.pin_root;
  options.attach_cgroup = layout.attach;
  options.agent_cgroup = layout.agent;
  options.tasks_cgroup = layout.tasks;
  options.alias_v4 = config.addresses.alias_v4;
  options.alias_v6 = config.addresses.alias_v6;
  options.proxy_v4 = {*IpAddress::parse("127.0.0.1"), config.listen.proxy_port};
  options.proxy_v6 = {*IpAddress::parse("::1"), config.listen.proxy_port};
  options.dns_v4 = config.listen.dns;
  options.dns_v6 = config.listen.dns6;
  options.capture_dns = config.dns.capture;
  options.sizes = config.kernel;

  orphans = find_orphans(layout.proxy);
  auto begun = kernel::Plane::start(options);
  if (!begun) return begun.error();
  plane = std::move(*begun);
  return {};
}

Result<void> Agent::State::start_proxy() {
  auto account = proxy_account(config.proxy.user);
  if (!account) return account.error();
  ProxyProcessOptions options;
  options.binary = proxy_binary();
  options.user = std::to_string(account->uid);
  options.jail = jail();
  options.cgroup = layout.proxy;
  options.log_level = config.log.level;
  options.settings.workers = config.proxy_workers();
  options.settings.drain = config.proxy.drain;
  options.settings.limits = config.limits;
  options.counters = slab->fd();
  options.heartbeat = plane->heartbeat_fd();
  if (auto made = make_directory(options.jail, 0555); !made) return made.error();
  const std::vector<SocketAddress> addresses{{*IpAddress::parse("127.0.0.1"), config.listen.proxy_port},
                                             {*IpAddress::parse("::1"), config.listen.proxy_port}};
  for (const auto& orphan : orphans)
    log::info("taking over from causeway-proxy {}, which an earlier agent left", orphan.pid);
  auto listeners = orphans.empty() ? open_listeners(addresses, options.settings.workers)
                                   : take_over_listeners(orphans, addresses, options.settings.workers);
  if (!listeners) return listeners.error();
  options.listeners = std::move(*listeners);
  proxy = std::make_unique<ProxyProcess>(context.get_executor(), std::move(options));
  return proxy->start();
}

Result<void> Agent::State::start_dns() {
  dns::ServerOptions options;
  options.listen = {config.listen.dns, config.listen.dns6};
  options.fallback_resolvers = config.dns.resolvers.empty() ? resolvers_of("/etc/resolv.conf") : config.dns.resolvers;
  dns = std::make_unique<DnsService>(*plane, std::move(options));
  if (auto begun = dns->start(); !begun) return with_key(begun.error(), "listen.dns, listen.dns6");
  return {};
}

void Agent::State::connect_parts() {
  DataPath::Sinks sinks;
  sinks.proxy = [this](SnapshotPtr snapshot) { proxy->publish(std::move(snapshot)); };
  sinks.proxy_alive = [this] { return proxy->alive(); };
  kernel_watch = std::make_unique<KernelWatch>(
      context, *plane, [this](const SocketAddress& address) { supervisor->on_listen(address); });
  sinks.kernel = kernel_watch.get();
  sinks.dns = &dns->server();
  sinks.reached = [this](Revision revision) {
    controller->acknowledged(revision);
    if (!ready) first_revision_reached();
  };
  data_path = std::make_unique<DataPath>(std::move(sinks));
  proxy->on_acknowledged([this](Revision revision) { data_path->proxy_acknowledged(revision); });
  proxy->on_ended([this] { data_path->proxy_ended(); });
  access_log = std::make_unique<AccessLogOutput>(context.get_executor(), config.access_log.path,
                                                 [this](Fd output) { proxy->set_access_log(std::move(output)); });
  controller->on_snapshot([this](SnapshotPtr snapshot) {
    access_log->follow(*snapshot);
    admin->publish(snapshot);
    data_path->publish(std::move(snapshot));
  });
  controller->on_change([this](const std::vector<store::Event>& events) { supervisor->on_change(events); });

  AdminParts parts;
  parts.slab = &*slab;
  parts.proxy = proxy.get();
  parts.plane = plane.get();
  parts.dns = &dns->server();
  admin->start(parts);
  admin->publish(controller->snapshot());
  access_log->follow(*controller->snapshot());
  data_path->publish(controller->snapshot());
  if (auto adopted = supervisor->start(); !adopted) log::error("{}", adopted.error().message());
  kernel_watch->start();
  proxy_watch = std::make_unique<ProxyWatch>(context.get_executor(), *proxy, plane->heartbeat());
  proxy_watch->start();
  forget_old();
  end_late_operations();
}

void Agent::State::first_revision_reached() {
  ready = true;
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started);
  log::info("ready after {} ms: AWS API on {}, admin on {}, programs attached to {}", took.count(), config.api_url(),
            config.listen.admin.to_string(), layout.attach);
  end_orphans();
  verify_interception();
}

void Agent::State::end_orphans() {
  // The new proxy listens on the same sockets; the old one serves its connections to their end.
  for (const auto& orphan : orphans) ::syscall(SYS_pidfd_send_signal, orphan.pidfd.get(), SIGTERM, nullptr, 0);
  orphans.clear();
}

KernelView Agent::State::kernel_view() const {
  return {[this](EndpointId endpoint) { return plane && plane->is_ejected(endpoint); },
          [this](ServiceId service) { return plane ? plane->active(service) : 0; }};
}

void Agent::State::verify_interception() {
  const auto verified = plane->verify_interception();
  const bool effective = verified && *verified;
  if (!effective && interception_effective != std::optional(false)) {
    log::error(
        "interception has no effect: {}; run: causeway doctor",
        verified
            ? "a dial of the canary alias was not taken to the proxy (another cgroup program may stand before ours)"
            : verified.error().message());
  }
  interception_effective = effective;
  admin->set_interception_effective(effective);
  verify_timer.expires_after(kVerifyEvery);
  verify_timer.async_wait([this](boost::system::error_code error) {
    if (!error && !stopping) verify_interception();
  });
}

void Agent::State::forget_old() {
  if (auto changed = controller->change([](control::Call& call) { return control::forget_old(call); }); !changed) {
    log::warn("{}", changed.error().message());
  }
  forget_timer.expires_after(kForgetEvery);
  forget_timer.async_wait([this](boost::system::error_code error) {
    if (!error && !stopping) forget_old();
  });
}

void Agent::State::end_late_operations() {
  controller->fail_unacknowledged(kOperationLimit);
  operations_timer.expires_after(kOperationLimit / 6);
  operations_timer.async_wait([this](boost::system::error_code error) {
    if (!error && !stopping) end_late_operations();
  });
}

void Agent::State::when_kernel_acts(std::function<void(bool)> done) {
  auto timer = std::make_shared<asio::steady_timer>(context, kKernelLimit);
  auto once = [timer, answered = std::make_shared<bool>(false), done = std::move(done)](bool acts) {
    if (std::exchange(*answered, true)) return;
    timer->cancel();
    done(acts);
  };
  timer->async_wait([once](boost::system::error_code error) {
    if (!error) once(false);
  });
  data_path->when_kernel_acts(controller->snapshot()->revision, [once] { once(true); });
}

RuntimeStatus Agent::State::runtime_status() const {
  RuntimeStatus status;
  status.uptime = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started);
  status.attached_to = layout.attach;
  status.interception_effective = interception_effective;
  if (proxy) {
    status.proxy_pid = std::max(0, proxy->pid());
    status.proxy_restarts = proxy->restarts();
    status.sinks.push_back({"proxy", proxy->acknowledged()});
  }
  if (plane) {
    status.sinks.push_back({"kernel", plane->acknowledged()});
    if (const auto error = plane->last_error()) status.kernel_error = error->message();
  }
  if (dns) status.sinks.push_back({"dns", dns->server().acknowledged()});
  status.services = service_counters({observe::add_up(*slab), plane ? kernel_totals(*plane) : observe::TotalsMap()});
  return status;
}

void Agent::State::stop() {
  if (stopping) return finish_stop();
  stopping = true;
  log::info("stopping: new dials are no longer taken, connections drain for at most {} s", config.proxy.drain.count());
  verify_timer.cancel();
  forget_timer.cancel();
  operations_timer.cancel();
  if (kernel_watch) kernel_watch->stop();
  if (proxy_watch) proxy_watch->stop();
  if (access_log) access_log->stop();
  if (supervisor) supervisor->stop();
  if (api) api->stop();
  if (!plane || !proxy) return finish_stop();
  if (auto stopped = plane->stop_capture(); !stopped) log::error("{}", stopped.error().message());
  proxy->stop([this] { finish_stop(); });
}

void Agent::State::finish_stop() {
  if (proxy) proxy->kill();
  if (dns) dns->stop();
  if (plane) {
    if (auto stopped = plane->stop(); !stopped) log::error("{}", stopped.error().message());
  }
  if (local_api) local_api->stop();
  if (admin) admin->stop();
  leave_host();
  log::info("stopped");
  context.stop();
}

Agent::Agent(asio::io_context& context, Config config) : state_(std::make_unique<State>(context, std::move(config))) {}
Agent::~Agent() = default;
Result<void> Agent::start() {
  return state_->start();
}
void Agent::reopen_logs() {
  log::info("the access log is opened again; the configuration is read at the start alone");
  if (state_->access_log && !state_->stopping) state_->access_log->reopen();
}
void Agent::stop() {
  state_->stop();
}

}  // namespace causeway::agent
