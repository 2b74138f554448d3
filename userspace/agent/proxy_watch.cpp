#include "agent/proxy_watch.h"

#include <signal.h>

#include <atomic>
#include <chrono>

#include "base/log.h"

namespace causeway::agent {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookEvery = 500ms;
/// The proxy beats every 100 ms. Looks are counted, not time: after a pause of the whole machine the proxy gets as many
/// turns as this process.
constexpr unsigned kStandingLooks = 6;

}  // namespace

ProxyWatch::ProxyWatch(boost::asio::any_io_executor executor, const ProxyProcess& proxy, cw_heartbeat* heartbeat)
    : proxy_(proxy), heartbeat_(heartbeat), timer_(std::move(executor)) {}

void ProxyWatch::start() {
  timer_.expires_after(kLookEvery);
  timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    look();
    start();
  });
}

void ProxyWatch::look() {
  const auto beat = std::atomic_ref(heartbeat_->proxy_ns).load(std::memory_order_relaxed);
  standing_ = proxy_.alive() && beat == seen_ ? standing_ + 1 : 0;
  seen_ = beat;
  if (standing_ < kStandingLooks) return;
  standing_ = 0;
  log::error("causeway-proxy (process {}) has not beaten for {} ms; ending it", proxy_.pid(), kStandingLooks * kLookEvery / 1ms);
  if (const int pid = proxy_.pid(); pid > 0) ::kill(pid, SIGKILL);
}

}  // namespace causeway::agent
