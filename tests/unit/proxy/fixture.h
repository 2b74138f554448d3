#pragma once
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include "observe/slab.h"
#include "peers.h"
#include "proxy/proxy.h"

namespace causeway::proxy::test {

/// Every connection was dialled to this address.
class FixedOrigin final : public OriginLookup {
 public:
  Result<cw_origin> origin(int accepted_fd) const override;
  std::atomic<std::uint32_t> vip{0x7fff0001};
  std::atomic<std::uint32_t> client{0};
  std::atomic<bool> unknown{false};
  mutable std::mutex hold;  ///< while it is locked, lookups wait
};

struct Totals {
  std::uint64_t requests[6] = {};
  std::uint64_t durations = 0;
  std::uint64_t opened = 0, active = 0, connects = 0, sent = 0, received = 0, retries = 0, ejections = 0;
  std::uint64_t failed[static_cast<std::size_t>(observe::FailureReason::count)] = {};
  std::uint64_t exceeded[static_cast<std::size_t>(observe::Bound::count)] = {};
  std::uint64_t exceeded_of(observe::Bound bound) const { return exceeded[static_cast<std::size_t>(bound)]; }
  std::uint64_t overflows[static_cast<std::size_t>(observe::Overflow::count)] = {};
  std::uint64_t ejection_returns = 0;
  std::uint64_t upstream_connections = 0, pending = 0, retries_active = 0, ejected = 0;
  std::uint64_t overflow(observe::Overflow limit) const { return overflows[static_cast<std::size_t>(limit)]; }
  std::uint64_t failures(observe::FailureReason reason) const { return failed[static_cast<std::size_t>(reason)]; }
};

/// The proxy in this process, with one service behind 127.255.0.1:80.
class ProxyTest : public ::testing::Test {
 protected:
  ProxyTest();
  ~ProxyTest() override;

  /// Without timeouts, but for connects.
  static ServiceSettings quiet_settings();
  /// The same with changes made by `change`.
  template <class Change>
  static ServiceSettings with(Change change) {
    ServiceSettings settings = quiet_settings();
    change(settings);
    return settings;
  }

  struct Setup {
    AppProtocol protocol = AppProtocol::http;
    ServiceSettings settings = quiet_settings();
    AccessLogSettings access_log{};
  };
  /// Publishes and waits until every worker acts on it. Endpoints keep their number while their address stays.
  void publish(const std::vector<SocketAddress>& endpoints, const Setup& setup);
  void publish(const std::vector<SocketAddress>& endpoints) { publish(endpoints, setup_); }
  void publish(const std::vector<std::pair<SocketAddress, Health>>& endpoints, const Setup& setup);

  /// The service leaves: a snapshot without any.
  void withdraw();

  void start(unsigned workers = 1);
  Peer dial(int receive_buffer = 0) { return Peer::dial(address_, receive_buffer); }
  /// One request on a connection of its own.
  std::optional<Reply> ask(std::string_view request = "");
  Totals totals() const;
  /// The Proxy is used on its main thread.
  template <class Function>
  void on_main(Function function) {
    std::promise<void> done;
    boost::asio::post(io_, [&] {
      function();
      done.set_value();
    });
    done.get_future().wait();
  }

  FixedOrigin origins_;
  Setup setup_;
  feed::ProxySettings settings_;
  Fd log_control_;  ///< handed over by start()
  SocketAddress address_;
  std::unique_ptr<Proxy> proxy_;

  boost::asio::io_context io_{1};

 private:
  void apply(std::shared_ptr<Snapshot> snapshot);

  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread main_;
  observe::Slab slab_;
  std::uint64_t revision_ = 0;
  std::vector<SocketAddress> known_;
};

}  // namespace causeway::proxy::test
