// causeway-proxy: started by the agent with the feed as an inherited descriptor.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "feed/feed.h"
#include "proxy/heartbeat.h"
#include "proxy/privileges.h"
#include "proxy/proxy.h"

namespace causeway::proxy {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto kHandoverTime = 10s;
constexpr auto kBeatInterval = 100ms;

constexpr std::string_view kUsage =
    "usage: causeway-proxy --feed-fd NUMBER [--user ACCOUNT] [--chroot DIRECTORY] [--log LEVEL]\n"
    "Carries connections for causewayd, which starts it; it is of no use on its own.\n";

struct Options {
  int feed_fd = -1;
  Confinement confinement;
};

Result<Options> parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc) return make_error("read option", name, "its value is missing");
    const std::string_view value = argv[i + 1];
    if (name == "--feed-fd") {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), options.feed_fd);
      if (error != std::errc{} || end != value.data() + value.size())
        return make_error("read option", name, "it takes a number");
    } else if (name == "--user") {
      options.confinement.user = value;
    } else if (name == "--chroot") {
      options.confinement.root = value;
    } else if (name == "--log") {
      const auto level = log::level_of(value);
      if (!level) return make_error("read option", name, "it takes debug, info, warn or error");
      log::set_level(*level);
    } else {
      return make_error("read option", name, "it is unknown");
    }
  }
  if (options.feed_fd < 0) return make_error("read option", "--feed-fd", "it is required");
  return options;
}

/// The main thread: feed, signals, heartbeat.
class Main {
 public:
  Main(Fd feed, std::unique_ptr<Heartbeat> heartbeat)
      : receiver_(io_.get_executor(), std::move(feed)),
        heartbeat_(std::move(heartbeat)),
        timer_(io_),
        signals_(io_, SIGTERM, SIGINT) {}

  Result<void> run(const feed::ProxySettings& settings, feed::Handover handover) {
    auto proxy = Proxy::create(io_, settings, std::move(handover.listeners), std::move(handover.counters), origins_,
                               std::move(handover.access_log));
    if (!proxy) return proxy.error();
    proxy_ = std::move(*proxy);
    receiver_.on_snapshot([this](SnapshotPtr snapshot) {
      proxy_->publish(std::move(snapshot), [this](Revision revision) {
        beat();  // the kernel part may send connections as soon as it hears of the acknowledgement
        receiver_.acknowledge(revision);
      });
    });
    receiver_.on_drain([this] { drain("the agent asked for it"); });
    receiver_.on_closed([] { log::warn("the agent is gone; serving on with the last snapshot"); });
    receiver_.start();
    wait_for_signal();
    beat_later();
    io_.run();
    return {};
  }

 private:
  void drain(std::string_view why) {
    log::info("draining: {}", why);
    proxy_->drain([this] {
      log::info("drained");
      io_.stop();
    });
  }

  void wait_for_signal() {
    signals_.async_wait([this](boost::system::error_code error, int number) {
      if (error) return;
      if (std::exchange(signalled_, true)) return io_.stop();  // asked twice: at once
      drain(number == SIGTERM ? "SIGTERM" : "SIGINT");
      wait_for_signal();
    });
  }

  void beat() {
    // A hung worker must not look alive: the kernel part would go on sending connections to it.
    if (proxy_->workers_live()) heartbeat_->beat();
  }

  void beat_later() {
    timer_.expires_after(kBeatInterval);
    timer_.async_wait([this](boost::system::error_code error) {
      if (error) return;
      beat();
      beat_later();
    });
  }

  asio::io_context io_{1};
  KernelOrigin origins_;
  feed::Receiver receiver_;
  std::unique_ptr<Heartbeat> heartbeat_;
  asio::steady_timer timer_;
  asio::signal_set signals_;
  bool signalled_ = false;
  std::unique_ptr<Proxy> proxy_;
};

/// Whatever else was inherited by mistake must not be reachable from a stranger's bytes.
void close_all_but(int feed) {
  if (feed > 3) ::close_range(3, static_cast<unsigned>(feed) - 1, 0);
  ::close_range(static_cast<unsigned>(feed) + 1, ~0u, 0);
}

Result<void> start(const Options& options) {
  Fd feed(options.feed_fd);
  close_all_but(feed.get());
  ::fcntl(feed.get(), F_SETFD, FD_CLOEXEC);
  auto received = feed::Receiver::receive_handover(feed.get(), kHandoverTime);
  if (!received) return received.error();
  auto& [settings, handover] = *received;
  auto heartbeat = Heartbeat::map(std::move(handover.heartbeat));
  if (!heartbeat) return heartbeat.error();
  raise_descriptor_limit(settings.limits.descriptors);
  if (auto confined = confine(options.confinement); !confined) return confined;
  Main main(std::move(feed), std::make_unique<Heartbeat>(std::move(*heartbeat)));
  return main.run(settings, std::move(handover));
}

}  // namespace
}  // namespace causeway::proxy

int main(int argc, char** argv) {
  using namespace causeway;
  log::set_name("causeway-proxy");
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);  // a rotation is the agent's matter, though both may be signalled as one process group
  const auto options = proxy::parse_options(argc, argv);
  if (!options) {
    fmt::print(stderr, "causeway-proxy: {}\n{}", options.error().message(), proxy::kUsage);
    return 2;
  }
  try {
    const auto ended = proxy::start(*options);
    if (ended) return 0;
    log::error("{}", ended.error().message());
  } catch (const std::exception& failure) {
    log::error("start proxy: {}", failure.what());
  }
  return 1;
}
