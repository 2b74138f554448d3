#include "agent/admin_service.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/core.h>
#include <pthread.h>
#include <sys/stat.h>

#include "admin/admin.h"
#include "agent/kernel_totals.h"
#include "observe/exposition.h"
#include "observe/totals.h"

namespace causeway::agent {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using observe::Metric;
using std::chrono::steady_clock;

constexpr auto kBeat = 100ms;
constexpr auto kHung = 3s;

void expose_dns(observe::Exposition& out, const dns::Counters& c) {
  const std::pair<std::string_view, const std::atomic<std::uint64_t>*> rows[] = {
      {"answered", &c.answered}, {"nxdomain", &c.nxdomain}, {"nodata", &c.nodata},       {"forwarded", &c.forwarded},
      {"servfail", &c.servfail}, {"refused", &c.refused},   {"malformed", &c.malformed}};
  for (const auto& [result, counter] : rows) {
    out.add(Metric::dns_queries_total, {{"result", result}}, static_cast<double>(counter->load(std::memory_order_relaxed)));
  }
}

/// From /proc/PID: prlimit(2) of another account's process asks for CAP_SYS_RESOURCE. Nothing once the process has ended.
void expose_descriptors(observe::Exposition& out, int pid) {
  const auto directory = fmt::format("/proc/{}/fd", pid);
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0) return;
  auto open = status.st_size;  // their number since Linux 6.2, 0 before
  std::error_code ignored;
  if (open == 0) open = std::distance(std::filesystem::directory_iterator(directory, ignored), {});
  out.add(Metric::proxy_open_fds, {}, static_cast<double>(open));
  std::ifstream limits(fmt::format("/proc/{}/limits", pid));
  constexpr std::string_view kSoftLimit = "Max open files";
  for (std::string line; std::getline(limits, line);) {
    if (!line.starts_with(kSoftLimit)) continue;
    out.add(Metric::proxy_max_fds, {}, std::strtod(line.c_str() + kSoftLimit.size(), nullptr));
  }
}

}  // namespace

struct AdminService::State : std::enable_shared_from_this<State> {
  explicit State(asio::any_io_executor control) : timer(control) {}

  std::string metrics();
  std::vector<std::string> not_ready() const;
  bool alive() const { return steady_clock::now().time_since_epoch().count() - last_beat.load() < steady_clock::duration(kHung).count(); }
  void beat();

  asio::io_context context{1};
  std::unique_ptr<web::Server> server;
  std::thread thread;
  asio::steady_timer timer;  // on the control thread
  std::atomic<steady_clock::rep> last_beat{0};
  AdminParts parts;
  std::atomic<int> effective{-1};  // -1: not verified yet

  struct View {
    SnapshotPtr snapshot;
    steady_clock::time_point compiled;
    observe::ClientNames clients;
  };
  View view() {
    const std::lock_guard guard(mutex);
    return newest;
  }

  std::mutex mutex;
  View newest;  // guarded by mutex
};

void AdminService::State::beat() {
  last_beat = steady_clock::now().time_since_epoch().count();
  timer.expires_after(kBeat);
  timer.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    if (const auto self = weak.lock(); self && !error) self->beat();
  });
}

std::string AdminService::State::metrics() {
  observe::Exposition out;
  const auto seen = view();  // rendering takes 0.1 s at 1,000 services: the control thread must not wait for it
  if (seen.snapshot) {
    observe::expose_totals(out, {observe::add_up(*parts.slab), kernel_totals(*parts.plane)}, *seen.snapshot,
                           seen.clients);
    observe::expose_kernel_usage(out, *seen.snapshot,
                                 [this](ServiceId service) { return parts.plane->active(service); });
    observe::expose_endpoints(out, *seen.snapshot);
    observe::expose_ejected(out, *seen.snapshot,
                            [this](EndpointId endpoint) { return parts.plane->is_ejected(endpoint); });
    out.add(Metric::snapshot_age_seconds, {}, std::chrono::duration<double>(steady_clock::now() - seen.compiled).count());
  }
  observe::expose_access_log(out, *parts.slab);
  expose_dns(out, parts.dns->counters());
  const std::pair<std::string_view, Revision> sinks[] = {
      {"proxy", parts.proxy->acknowledged()}, {"kernel", parts.plane->acknowledged()}, {"dns", parts.dns->acknowledged()}};
  for (const auto& [sink, revision] : sinks) out.add(Metric::snapshot_revision, {{"sink", sink}}, static_cast<double>(revision.value));
  if (effective >= 0) out.add(Metric::interception_effective, {}, effective);
  out.add(Metric::proxy_up, {}, parts.proxy->alive() ? 1 : 0);
  out.add(Metric::proxy_restarts_total, {}, static_cast<double>(parts.proxy->restarts()));
  if (parts.proxy->alive()) expose_descriptors(out, parts.proxy->pid());
  out.add(Metric::build_info, {{"version", CAUSEWAY_VERSION}}, 1);
  return out.text();
}

std::vector<std::string> AdminService::State::not_ready() const {
  std::vector<std::string> missing;
  if (!alive()) missing.emplace_back("the control thread does not answer");
  if (!parts.proxy->alive()) missing.emplace_back("the proxy has not acknowledged a snapshot");
  if (effective < 0) missing.emplace_back("interception is not verified yet");
  if (effective == 0) missing.emplace_back("interception has no effect; run: causeway doctor");
  return missing;
}

AdminService::AdminService(asio::any_io_executor control) : state_(std::make_shared<State>(std::move(control))) {}
AdminService::~AdminService() { stop(); }

Result<void> AdminService::listen(const SocketAddress& address) {
  State* state = state_.get();  // the handler lives in the server, which the state owns
  admin::Sources sources{[state] { return state->metrics(); }, [state] { return state->alive(); }, [state] { return state->not_ready(); }};
  state_->server = std::make_unique<web::Server>(state_->context.get_executor(), admin::make_admin(std::move(sources)));
  if (auto listening = state_->server->listen_tcp(address); !listening) return listening.error();
  return {};
}

void AdminService::start(const AdminParts& parts) {
  state_->parts = parts;
  state_->beat();
  state_->thread = std::thread([state = state_.get()] {
    ::pthread_setname_np(::pthread_self(), "admin");
    state->context.run();
  });
}

void AdminService::publish(SnapshotPtr snapshot) {
  const std::lock_guard guard(state_->mutex);
  state_->newest.clients.learn(*snapshot);
  state_->newest.snapshot = std::move(snapshot);
  state_->newest.compiled = steady_clock::now();
}

void AdminService::set_interception_effective(bool effective) { state_->effective = effective ? 1 : 0; }

void AdminService::stop() {
  state_->timer.cancel();
  if (!state_->thread.joinable()) return;
  asio::post(state_->context, [state = state_.get()] {
    state->server->stop();
    state->context.stop();
  });
  state_->thread.join();
}

std::vector<ServiceCounters> service_counters(const observe::PathTotals& paths) {
  std::map<ServiceId, ServiceCounters> by_service;
  for (const auto* path : {&paths.proxy, &paths.kernel}) {
    for (const auto& [key, totals] : *path) {
      auto& row = by_service[key.first];
      row.service = key.first;
      for (const auto requests : totals.requests) row.requests += requests;
      row.failed_requests += totals.requests[5];
      row.connections_opened += totals.connections_opened;
      row.connections_active += totals.connections_active;
      for (const auto failed : totals.connections_failed) row.connections_failed += failed;
      row.retries += totals.retries;
    }
  }
  std::vector<ServiceCounters> rows;
  for (auto& [_, row] : by_service) rows.push_back(row);
  return rows;
}

}  // namespace causeway::agent
