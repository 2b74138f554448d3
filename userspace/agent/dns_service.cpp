#include "agent/dns_service.h"

#include <boost/asio/post.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <netinet/in.h>
#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <sstream>
#include <thread>

#include "net/origin.h"

namespace causeway::agent {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kBusyBeat{100};

std::uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

/// Who asks, as the kernel part recorded it.
class KernelAskers final : public dns::AskerLookup {
 public:
  explicit KernelAskers(const kernel::Plane& plane) : plane_(plane) {}

  dns::Asker udp(const SocketAddress& peer) override {
    const auto found = plane_.udp_peer(peer);
    // Every query of this host is published before it leaves. One that is not was pushed out of the map by a flood: it
    // must not pass for the host's, which sees all namespaces.
    if (!found) return {kNoNamespace, kHostClient, std::nullopt};
    return {found->namespace_number, found->client, asked(found->resolver)};
  }

  dns::Asker tcp(int accepted_fd, const SocketAddress&) override {
    const auto origin = net::connection_origin(accepted_fd);
    if (!origin) return {kNoNamespace, kHostClient, std::nullopt};
    std::array<std::uint8_t, 16> bytes;
    std::copy(std::begin(origin->dst_addr), std::end(origin->dst_addr), bytes.begin());
    return {NamespaceNumber{origin->namespace_number}, ClientId{origin->client_id},
            asked({IpAddress::v6(bytes), ntohs(origin->dst_port)})};
  }

 private:
  /// Port 0: the process asked the agent at its own address.
  static std::optional<SocketAddress> asked(const SocketAddress& resolver) {
    return resolver.port == 0 ? std::nullopt : std::optional(resolver);
  }

  const kernel::Plane& plane_;
};

}  // namespace

std::vector<SocketAddress> resolvers_of(const std::string& path) {
  std::vector<SocketAddress> resolvers;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key, address;
    if (!(words >> key >> address) || key != "nameserver") continue;
    if (const auto ip = IpAddress::parse(address)) resolvers.push_back({*ip, 53});
  }
  return resolvers;
}

struct DnsService::State {
  State(kernel::Plane& p, dns::ServerOptions options)
      : plane(p), askers(p), timer(context), server(context.get_executor(), askers, std::move(options)) {}

  void beat() {
    std::atomic_ref(plane.heartbeat()->dns_ns).store(monotonic_ns(), std::memory_order_relaxed);
    timer.expires_after(kBusyBeat);
    timer.async_wait([this](boost::system::error_code error) {
      if (!error) beat();
    });
  }

  kernel::Plane& plane;
  KernelAskers askers;
  asio::io_context context{1};
  asio::steady_timer timer;
  dns::Server server;
  std::thread thread;
};

DnsService::DnsService(kernel::Plane& plane, dns::ServerOptions options)
    : state_(std::make_unique<State>(plane, std::move(options))) {}

DnsService::~DnsService() { stop(); }

Result<void> DnsService::start() {
  if (auto started = state_->server.start(); !started) return started.error();
  state_->beat();
  state_->thread = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "dns");
    state_->context.run();
  });
  return {};
}

void DnsService::stop() {
  if (!state_->thread.joinable()) return;
  asio::post(state_->context, [this] {
    // Stale at once: the kernel stops capturing queries before the sockets close.
    std::atomic_ref(state_->plane.heartbeat()->dns_ns).store(0, std::memory_order_relaxed);
    state_->timer.cancel();
    state_->server.stop();
    state_->context.stop();
  });
  state_->thread.join();
}

dns::Server& DnsService::server() { return state_->server; }

}  // namespace causeway::agent
