// The load of tools/compare --scale: opens and closes TCP connections to targets drawn from a long list, and the server
// that closes them.
//   bench_dial serve KEEPING_PORT PORT...                   accepts on every address, and closes at once, or with the
//   client bench_dial load SECONDS THREADS SEED < ADDRESS:PORT...  one connection after the other a thread; prints JSON
//   bench_dial hold COUNT < ADDRESS:PORT...                 opens them, says "held", and keeps them until its input
//   ends
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "bench_dial: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

/// IPv4 addresses, one a line; those before an empty line or the end.
std::vector<sockaddr_in> read_targets() {
  std::vector<sockaddr_in> targets;
  for (std::string line; std::getline(std::cin, line) && !line.empty();) {
    const auto colon = line.rfind(':');
    sockaddr_in target{};
    target.sin_family = AF_INET;
    if (colon == std::string::npos || ::inet_pton(AF_INET, line.substr(0, colon).c_str(), &target.sin_addr) != 1)
      die("no target: " + line);
    target.sin_port = htons(static_cast<std::uint16_t>(std::stoul(line.substr(colon + 1))));
    targets.push_back(target);
  }
  if (targets.empty()) die("no targets");
  return targets;
}

/// xorshift64: a draw must cost nothing beside a connection.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::size_t below(std::size_t end) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::size_t>((static_cast<unsigned __int128>(state_) * end) >> 64);
  }

 private:
  std::uint64_t state_;
};

int connect_to(const sockaddr_in& target) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&target), sizeof target) == 0) return fd;
  ::close(fd);
  return -1;
}

struct Counts {
  std::vector<std::uint32_t> connect_ns;
  std::uint64_t failed = 0;
  int error = 0;
};

/// The server closes first, so that no port of this side stays in TIME_WAIT.
void dial_until(Clock::time_point end, const std::vector<sockaddr_in>& targets, std::uint64_t seed, Counts& counts) {
  Draw draw(seed);
  counts.connect_ns.reserve(1 << 20);
  for (auto begun = Clock::now(); begun < end; begun = Clock::now()) {
    const int fd = connect_to(targets[draw.below(targets.size())]);
    const auto took = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begun).count();
    char byte = 0;
    if (fd < 0 || ::read(fd, &byte, 1) != 0) {
      ++counts.failed;
      counts.error = errno;
    } else {
      counts.connect_ns.push_back(static_cast<std::uint32_t>(std::min<long>(took, UINT32_MAX)));
    }
    if (fd >= 0) ::close(fd);
  }
}

int load(double seconds, unsigned threads, std::uint64_t seed) {
  const auto targets = read_targets();
  std::vector<Counts> counts(threads);
  std::vector<std::thread> running;
  const auto begin = Clock::now();
  const auto end = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  for (unsigned i = 0; i < threads; ++i)
    running.emplace_back([&, i] { dial_until(end, targets, seed * threads + i + 1, counts[i]); });
  for (auto& thread : running) thread.join();
  const double took = std::chrono::duration<double>(Clock::now() - begin).count();
  std::vector<std::uint32_t> all;
  std::uint64_t failed = 0;
  int error = 0;
  for (const auto& one : counts) {
    all.insert(all.end(), one.connect_ns.begin(), one.connect_ns.end());
    failed += one.failed;
    error = one.error != 0 ? one.error : error;
  }
  std::sort(all.begin(), all.end());
  const auto at = [&all](double part) {
    return all.empty() ? 0.0 : all[static_cast<std::size_t>(part * static_cast<double>(all.size() - 1))] / 1000.0;
  };
  std::printf(
      "{\"seconds\": %.6f, \"connections\": %zu, \"failed\": %llu, \"error\": \"%s\", \"p50_us\": %.3f, \"p99_us\": "
      "%.3f}\n",
      took, all.size(), static_cast<unsigned long long>(failed), failed ? std::strerror(error) : "", at(0.5), at(0.99));
  return 0;
}

int hold(std::size_t count) {
  const auto targets = read_targets();
  std::vector<int> held;
  for (std::size_t i = 0; i < count; ++i) {
    held.push_back(connect_to(targets[i % targets.size()]));
    if (held.back() < 0) die("connect");
  }
  std::printf("held\n");
  std::fflush(stdout);
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}

int listen_on(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(port);
  if (fd < 0 || ::bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0 || ::listen(fd, 4096) != 0)
    die("listen");
  return fd;
}

void accept_and_close(int listener) {
  for (;;) {
    const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (accepted >= 0) {
      ::close(accepted);
    } else if (errno != ECONNABORTED && errno != EINTR) {
      die("accept");
    }
  }
}

/// Each is closed when its peer closes.
void accept_and_keep(int listener) {
  const int poll = ::epoll_create1(EPOLL_CLOEXEC);
  const auto add = [poll](int fd, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    if (::epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
  };
  add(listener, EPOLLIN);
  for (;;) {
    epoll_event event{};
    if (::epoll_wait(poll, &event, 1, -1) != 1) continue;
    if (event.data.fd != listener) {
      ::close(event.data.fd);
    } else if (const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC); accepted >= 0) {
      add(accepted, EPOLLRDHUP);
    }
  }
}

int serve(std::uint16_t keeping_port, const std::vector<std::uint16_t>& ports) {
  std::vector<std::thread> running;
  running.emplace_back(accept_and_keep, listen_on(keeping_port));
  for (const auto port : ports) {
    const int listener = listen_on(port);
    for (int i = 0; i < 2; ++i) running.emplace_back(accept_and_close, listener);
  }
  std::printf("listening\n");
  std::fflush(stdout);
  for (auto& thread : running) thread.join();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 4 && words[0] == "load")
    return load(std::stod(words[1]), static_cast<unsigned>(std::stoul(words[2])), std::stoull(words[3]));
  if (words.size() == 2 && words[0] == "hold") return hold(std::stoul(words[1]));
  if (words.size() >= 2 && words[0] == "serve") {
    std::vector<std::uint16_t> ports;
    for (std::size_t i = 1; i < words.size(); ++i) ports.push_back(static_cast<std::uint16_t>(std::stoul(words[i])));
    return serve(ports.front(), {ports.begin() + 1, ports.end()});
  }
  std::fprintf(stderr, "bench_dial: see the head of dial.cpp\n");
  return 2;
}
