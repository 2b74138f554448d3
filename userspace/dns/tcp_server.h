#pragma once
// Queries over TCP (RFC 7766): two bytes of length, then a message; several on a connection, answered in order.
#include <chrono>
#include <cstddef>
#include <memory>
#include <unordered_set>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "dns/responder.h"

namespace causeway::dns {

/// A connection and its deadline: when that passes, the connection is closed and whatever waits on it fails.
struct TcpStream : std::enable_shared_from_this<TcpStream> {
  explicit TcpStream(boost::asio::ip::tcp::socket s) : socket(std::move(s)), timer(socket.get_executor()) {}

  void expire_after(std::chrono::milliseconds time);
  void close();

  boost::asio::ip::tcp::socket socket;
  boost::asio::steady_timer timer;
  bool expired = false;
};

/// On one thread. Held by a shared_ptr: its sessions keep it.
class TcpServer : public std::enable_shared_from_this<TcpServer> {
 public:
  static constexpr std::size_t kMaxConnections = 256;
  /// A connection on which no query comes for this long is closed.
  static constexpr std::chrono::milliseconds kIdle{30'000};

  TcpServer(boost::asio::any_io_executor executor, AskerLookup& askers, Responder& responder, Counters& counters,
            std::chrono::milliseconds forward_timeout)
      : executor_(std::move(executor)),
        askers_(askers),
        responder_(responder),
        counters_(counters),
        forward_timeout_(forward_timeout) {}

  /// Takes over a listening socket.
  void serve(Fd listener, bool v6);
  void stop();

  /// A listening socket; port 0 picks a free one.
  static Result<Fd> open(const SocketAddress& address);

 private:
  using Stream = std::shared_ptr<TcpStream>;
  using Message = std::vector<std::uint8_t>;
  template <class T = void>
  using Task = boost::asio::awaitable<T>;

  static Task<> accept(std::shared_ptr<TcpServer> self, std::shared_ptr<boost::asio::ip::tcp::acceptor> acceptor);
  static Task<> session(std::shared_ptr<TcpServer> self, Stream client);
  Task<> serve_queries(Stream client);
  Task<bool> answer(Stream client, const Message& query, const Asker& asker);
  Task<Message> forward(const Message& query, const Decision& decision);
  Task<Stream> ask(const Message& query, SocketAddress resolver, std::chrono::milliseconds within, std::uint16_t id);
  Task<Message> next_reply(Stream upstream, const Decision& decision, std::uint16_t id);
  Task<> transfer(Stream client, const Message& query, const Decision& decision);
  void release(const Stream& upstream);

  boost::asio::any_io_executor executor_;
  AskerLookup& askers_;
  Responder& responder_;
  Counters& counters_;
  std::chrono::milliseconds forward_timeout_;
  std::vector<std::shared_ptr<boost::asio::ip::tcp::acceptor>> acceptors_;
  std::unordered_set<Stream> streams_;    ///< clients'
  std::unordered_set<Stream> upstreams_;  ///< to resolvers
  /// Set by stop(); what the references point to may be gone when a session resumes after it.
  bool stopped_ = false;
};

}  // namespace causeway::dns
