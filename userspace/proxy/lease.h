#pragma once
// Connections to endpoints, and whatever else a service has limits for, counted while they last.
#include <memory>
#include <utility>

#include "net/connection.h"
#include "observe/slab.h"
#include "upstream/usage.h"

namespace causeway::proxy {

class ServiceState;

/// One of a service's connections, from before it is made until it is closed. Of one worker.
class Lease {
 public:
  Lease() = default;
  /// Both counts were taken. `endpoint` may be null: it left meanwhile. `state` and `slot` outlive it.
  Lease(ServiceState& state, std::shared_ptr<upstream::EndpointUsage> endpoint, observe::Slot& slot);
  Lease(Lease&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)), endpoint_(std::move(other.endpoint_)), slot_(other.slot_) {}
  Lease& operator=(Lease&& other) noexcept {
    if (this == &other) return *this;
    release();
    state_ = std::exchange(other.state_, nullptr);
    endpoint_ = std::move(other.endpoint_);
    slot_ = other.slot_;
    return *this;
  }
  ~Lease() { release(); }

  explicit operator bool() const { return state_ != nullptr; }
  /// Gives it back, and wakes who waits for it.
  void release();

 private:
  ServiceState* state_ = nullptr;
  std::shared_ptr<upstream::EndpointUsage> endpoint_;
  observe::Slot* slot_ = nullptr;
};

struct CloseAndRelease {
  Lease lease;
  void operator()(net::Connection* connection) {
    delete connection;
    lease.release();
  }
};

/// A connection to an endpoint.
using UpstreamConnection = std::unique_ptr<net::Connection, CloseAndRelease>;

/// One of a limited number of requests or retries. Of one worker.
class Hold {
 public:
  using Count = upstream::UseCount upstream::ServiceUsage::*;

  Hold() = default;
  /// Nothing is held if `limit` are in use. `gauge` outlives it.
  Hold(std::shared_ptr<upstream::ServiceUsage> usage, Count count, std::uint32_t limit, observe::Counter& gauge)
      : count_(count), gauge_(&gauge) {
    if (!((*usage).*count).take(limit)) return;
    usage_ = std::move(usage);
    observe::bump(gauge);
  }
  Hold(Hold&& other) noexcept : usage_(std::move(other.usage_)), count_(other.count_), gauge_(other.gauge_) {}
  Hold& operator=(Hold&& other) noexcept {
    if (this == &other) return *this;
    release();
    usage_ = std::move(other.usage_);
    count_ = other.count_;
    gauge_ = other.gauge_;
    return *this;
  }
  ~Hold() { release(); }

  explicit operator bool() const { return usage_ != nullptr; }
  void release() {
    if (usage_ == nullptr) return;
    ((*usage_).*count_).give_back();
    usage_.reset();
    observe::drop(*gauge_);
  }

 private:
  std::shared_ptr<upstream::ServiceUsage> usage_;
  Count count_ = nullptr;
  observe::Counter* gauge_ = nullptr;
};

}  // namespace causeway::proxy
