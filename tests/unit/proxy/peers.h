#pragma once
// Real sockets on 127.0.0.1: clients and servers of the tests, blocking, with a limit on every wait.
#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/ip.h"

namespace causeway::proxy::test {

struct Reply {
  std::string head;
  std::string body;
  int status = 0;
  /// A field's value, or "" (names as sent, lower case compared).
  std::string field(std::string_view name) const;
};

/// One end of a TCP connection. Reads give up after ten seconds (and fail the test through their result).
class Peer {
 public:
  Peer() = default;
  explicit Peer(Fd fd);
  static Peer dial(const SocketAddress& address, int receive_buffer = 0);

  int fd() const { return fd_.get(); }
  bool send(std::string_view bytes);
  /// Sends what the kernel takes at once; the number of bytes.
  std::size_t send_some(std::string_view bytes);
  /// Sends that many bytes (or a few more), or until the kernel has taken none for a second; the number of bytes.
  std::size_t send_until_stuck(std::size_t bytes);
  /// Waits until the other side's kernel has all that was sent, FIN too; false after ten seconds.
  bool all_acknowledged();
  void shutdown_send();
  void close() { fd_.reset(); }
  /// Closes with RST.
  void reset();

  /// Up to and with `end`; empty on an end or error before it.
  std::string read_until(std::string_view end);
  std::string read_exactly(std::size_t bytes);
  /// Until the peer's end; then `at_end()` says how it ended.
  std::string read_all();
  enum class End { open, closed, reset, timed_out };
  End at_end() const { return end_; }
  /// A request or response head with its body (length or chunks, decoded). `head_only`: none follows (HEAD, 1xx, 101).
  std::optional<Reply> read_message(bool head_only = false);

 private:
  bool fill();
  Fd fd_;
  std::string buffer_;
  End end_ = End::open;
};

/// Accepts on 127.0.0.1, a thread a connection. Ends all of them when it is destroyed.
class Server {
 public:
  using Handler = std::function<void(Peer&)>;
  explicit Server(Handler handler, std::uint16_t port = 0);
  ~Server();
  const SocketAddress& address() const { return address_; }
  int connections() const { return connections_; }
  /// Connections whose handler has returned, and which are closed.
  int ended() const { return ended_; }

  /// Answers every request with its `name` and closes with the client.
  static Handler echo_name(std::string name);

 private:
  void accept_all();
  Handler handler_;
  SocketAddress address_;
  Fd listener_;
  std::atomic<int> connections_{0};
  std::atomic<int> ended_{0};
  std::mutex mutex_;
  std::list<std::thread> threads_;
  std::vector<int> open_;
  std::thread acceptor_;
};

/// A port of 127.0.0.1 on which nobody listens; it stays bound, so that nobody else is given it.
SocketAddress refusing_address();

std::string response(std::string_view body, std::string_view more_fields = "");
std::string get(std::string_view path = "/", std::string_view more_fields = "");

/// Looks until it holds; false after ten seconds.
bool eventually(const std::function<bool()>& holds);

}  // namespace causeway::proxy::test
