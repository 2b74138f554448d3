#include "fixture.h"

#include <algorithm>
#include <cstring>

#include <arpa/inet.h>
#include <boost/asio/post.hpp>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

namespace causeway::proxy::test {

using namespace std::chrono_literals;

Result<cw_origin> FixedOrigin::origin(int) const {
  const std::lock_guard lock(hold);
  if (unknown) return errno_error(ENOENT, "look up the origin of", "connection");
  cw_origin out{};
  const auto ip = IpAddress::v4(vip);
  std::memcpy(out.dst_addr, ip.bytes().data(), sizeof out.dst_addr);
  out.dst_port = htons(80);
  out.service_id = 1;
  out.client_id = client;
  return out;
}

ProxyTest::ProxyTest() : work_(io_.get_executor()), slab_(observe::Slab::create(2).value()) {
  ::signal(SIGPIPE, SIG_IGN);  // as the proxy's main(): splice(2) has no MSG_NOSIGNAL
  settings_.drain = 5s;
}

ProxyTest::~ProxyTest() {
  if (main_.joinable()) {
    on_main([this] { proxy_.reset(); });
    io_.stop();
    main_.join();
  }
}

ServiceSettings ProxyTest::quiet_settings() {
  ServiceSettings settings;
  settings.connect_timeout = 2s;
  settings.per_request_timeout = settings.http_idle_timeout = settings.idle_timeout = 0s;
  settings.drain_timeout = 5s;
  return settings;
}

void ProxyTest::start(unsigned workers) {
  settings_.workers = workers;
  std::vector<Fd> listeners;
  for (unsigned w = 0; w < workers; ++w) {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    sockaddr_storage storage;
    auto length = (w == 0 ? SocketAddress{IpAddress::v4(0x7f000001), 0} : address_).to(storage);
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
    ASSERT_EQ(::listen(fd.get(), 1024), 0);
    length = sizeof storage;
    ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &length);
    address_ = *SocketAddress::from(storage);
    listeners.push_back(std::move(fd));
  }
  main_ = std::thread([this] { io_.run(); });
  on_main([&] {
    auto made = Proxy::create(io_, settings_, std::move(listeners), Fd(::fcntl(slab_.fd(), F_DUPFD_CLOEXEC, 3)),
                              origins_, std::move(log_control_));
    ASSERT_TRUE(made) << made.error().message();
    proxy_ = std::move(*made);
  });
}

void ProxyTest::publish(const std::vector<SocketAddress>& endpoints, const Setup& setup) {
  std::vector<std::pair<SocketAddress, Health>> healthy;
  for (const auto& address : endpoints) healthy.emplace_back(address, Health::healthy);
  publish(healthy, setup);
}

void ProxyTest::publish(const std::vector<std::pair<SocketAddress, Health>>& endpoints, const Setup& setup) {
  if (proxy_ == nullptr) start();
  setup_ = setup;
  auto service = std::make_shared<Service>();
  service->id = ServiceId(1);
  service->namespace_name = "myapp.local";
  service->discovery_name = "user-service";
  service->protocol = setup.protocol;
  service->settings = setup.settings;
  service->access_log = setup.access_log;
  for (const auto& [address, health] : endpoints) {
    auto it = std::find(known_.begin(), known_.end(), address);
    if (it == known_.end()) it = known_.insert(known_.end(), address);
    Endpoint endpoint;
    endpoint.id = EndpointId(static_cast<std::uint32_t>(it - known_.begin() + 1));
    endpoint.address = address;
    endpoint.health = health;
    service->endpoints.push_back(endpoint);
  }
  std::sort(service->endpoints.begin(), service->endpoints.end(), [](auto& a, auto& b) { return a.id < b.id; });
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->services[ServiceId(1)] = service;
  snapshot->clients[ClientId(7)] = "web";
  Alias alias;
  alias.name = "user-svc";
  alias.vip4 = IpAddress::v4(0x7fff0001);
  alias.port = 80;
  alias.service = ServiceId(1);
  snapshot->aliases.change([&](auto& all) { all.push_back(alias); });
  apply(std::move(snapshot));
}

void ProxyTest::withdraw() {
  apply(std::make_shared<Snapshot>());
}

void ProxyTest::apply(std::shared_ptr<Snapshot> snapshot) {
  snapshot->revision = Revision(++revision_);
  std::promise<Revision> applied;
  boost::asio::post(io_, [&] { proxy_->publish(snapshot, [&](Revision r) { applied.set_value(r); }); });
  ASSERT_EQ(applied.get_future().get(), snapshot->revision);
}

std::optional<Reply> ProxyTest::ask(std::string_view request) {
  auto client = dial();
  client.send(request.empty() ? get() : request);
  return client.read_message();
}

Totals ProxyTest::totals() const {
  Totals out;
  slab_.for_each([&](ServiceId, ClientId, const observe::Slot& slot) {
    for (std::size_t i = 0; i < 6; ++i) out.requests[i] += slot.requests[i];
    for (const auto& bucket : slot.request_duration.buckets) out.durations += bucket;
    for (const auto& bucket : slot.connect_duration.buckets) out.connects += bucket;
    for (std::size_t i = 0; i < std::size(out.failed); ++i) out.failed[i] += slot.connections_failed[i];
    for (std::size_t i = 0; i < std::size(out.exceeded); ++i) out.exceeded[i] += slot.bounds_exceeded[i];
    out.opened += slot.connections_opened;
    out.active += slot.connections_active;
    out.sent += slot.bytes_sent;
    out.received += slot.bytes_received;
    out.retries += slot.retries;
    out.ejections += slot.ejections;
    out.ejection_returns += slot.ejection_returns;
    for (std::size_t i = 0; i < std::size(out.overflows); ++i) out.overflows[i] += slot.overflows[i];
    out.upstream_connections += slot.upstream_connections;
    out.pending += slot.requests_pending;
    out.retries_active += slot.retries_active;
    out.ejected += slot.endpoints_ejected;
  });
  return out;
}

}  // namespace causeway::proxy::test
