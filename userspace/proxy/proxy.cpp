#include "proxy/proxy.h"

#include <algorithm>

#include <boost/asio/post.hpp>
#include <fmt/core.h>

#include "proxy/access_records.h"

namespace causeway::proxy {

namespace asio = boost::asio;

namespace {

/// Calls `done` on the main thread after as many calls of the function returned, from any threads.
std::function<void()> after_all(asio::io_context& main, std::size_t calls, std::function<void()> done) {
  const auto left = std::make_shared<std::atomic<std::size_t>>(calls);
  return [&main, left, done = std::move(done)] {
    if (left->fetch_sub(1) == 1) asio::post(main, done);
  };
}

bool begins_to_log(const RoutesPtr& before, const Snapshot& now) {
  using Ptr = std::shared_ptr<const Service>;
  static const decltype(Snapshot::services) kNone;
  bool any = false;
  for_each_difference(before ? before->snapshot().services : kNone, now.services,
                      [&any](ServiceId, const Ptr* /*was*/, const Ptr* is) { any = any || (is && is_logged(**is)); });
  return any;
}

}  // namespace

void Proxy::Peers::begin(const std::vector<std::unique_ptr<Worker>>& workers) {
  const std::lock_guard lock(mutex_);
  for (const auto& worker : workers) workers_.push_back(worker.get());
}

void Proxy::Peers::end() {
  const std::lock_guard lock(mutex_);
  workers_.clear();
}

void Proxy::Peers::nudge(std::size_t from, ServiceId service, const Nudge& nudge) {
  const std::lock_guard lock(mutex_);
  for (std::size_t w = 0; w < workers_.size(); ++w) {
    if (w != from) workers_[w]->nudge(service, nudge);
  }
}

Result<std::unique_ptr<Proxy>> Proxy::create(asio::io_context& main, const feed::ProxySettings& settings,
                                             std::vector<Fd> listeners, Fd counters, const OriginLookup& origins,
                                             Fd access_log) {
  auto slab = observe::Slab::open(std::move(counters));
  if (!slab) return slab.error();
  const std::size_t count = settings.workers;
  if (count == 0 || count > slab->workers()) {
    return make_error("start", "proxy",
                      fmt::format("{} workers, but the counters have room for {}", count, slab->workers()));
  }
  slab->reset_gauges();
  std::unique_ptr<Proxy> proxy(new Proxy(main, std::move(*slab)));
  proxy->admission_ =
      std::make_unique<Admission>(settings.limits, descriptor_limit(settings.limits.descriptors), count);
  proxy->log_writer_ = std::make_unique<observe::LogWriter>(std::move(access_log), count, proxy->slab_);
  std::vector<std::vector<Fd>> shares(count);
  for (std::size_t i = 0; i < listeners.size(); ++i) shares[i % count].push_back(std::move(listeners[i]));
  for (std::size_t w = 0; w < count; ++w) {
    const auto nudge = [peers = proxy->peers_, w](ServiceId service, const Nudge& told) {
      peers->nudge(w, service, told);
    };
    proxy->workers_.push_back(std::make_unique<Worker>(w, settings, proxy->slab_, origins, *proxy->admission_,
                                                       *proxy->log_writer_, std::move(shares[w]), nudge));
  }
  proxy->peers_->begin(proxy->workers_);
  for (auto& worker : proxy->workers_) worker->start();
  return proxy;
}

/// A worker that ends gives its connections back, and would tell others of it that have ended before.
Proxy::~Proxy() {
  peers_->end();
}

void Proxy::publish(SnapshotPtr snapshot, std::function<void(Revision)> applied) {
  const Revision revision = snapshot->revision;
  if (begins_to_log(routes_, *snapshot)) log_writer_->start();
  const auto routes = std::make_shared<const Routes>(snapshot, usages_.follow(*snapshot), routes_.get());
  routes_ = routes;
  const auto one_done =
      after_all(main_, workers_.size(), [revision, applied = std::move(applied)] { applied(revision); });
  for (auto& worker : workers_) worker->publish(routes, one_done);
}

void Proxy::drain(std::function<void()> done) {
  if (std::exchange(draining_, true)) return;
  const auto one_done = after_all(main_, workers_.size(), std::move(done));
  for (auto& worker : workers_) worker->drain(one_done);
}

bool Proxy::workers_live() {
  const std::uint64_t asked = pings_;
  const bool live =
      std::all_of(workers_.begin(), workers_.end(), [asked](const auto& w) { return w->answered() >= asked; });
  if (live) {
    ++pings_;
    for (auto& worker : workers_) worker->ping(pings_);
  }
  return live;
}

}  // namespace causeway::proxy
