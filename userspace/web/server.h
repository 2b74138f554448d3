#pragma once
// A small HTTP/1.1 server for the agent's own interfaces (AWS API, admin, agent.sock), over Beast. The proxy's data
// path does not use it.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/fd.h"
#include "base/ip.h"
#include "base/result.h"

namespace causeway::web {

struct Header {
  std::string name;
  std::string value;
};

struct Request {
  std::string method;
  std::string target;  ///< path and query, as sent
  std::vector<Header> headers;
  std::string body;
  unsigned peer_uid = ~0u;  ///< over a Unix socket (SO_PEERCRED)
  int peer_pid = -1;        ///< over a Unix socket (SO_PEERCRED)

  /// The first header of that name (any case), or "".
  std::string_view header(std::string_view name) const;
  std::string_view path() const;  ///< target up to '?', not decoded
  /// A decoded query parameter, or "".
  std::string query(std::string_view name) const;
};

struct Response {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<Header> headers;
  std::string body;
};

/// Called on the server's executor; answers once, now or later, from that executor.
using Reply = std::function<void(Response)>;
using Handler = std::function<void(const Request&, Reply)>;

struct Limits {
  std::size_t header_bytes = 64 * 1024;
  std::size_t body_bytes = 1024 * 1024;
  std::size_t connections = 512;
  std::chrono::seconds read_timeout{15};
  std::chrono::seconds idle_timeout{60};
  /// For a new connection's first byte: whoever only connects must not keep others out.
  std::chrono::seconds first_byte_timeout{5};
};

/// Malformed or oversized input is answered with 400, 413 or 431 and the connection closed. Single-threaded: all calls
/// and callbacks on the executor given.
class Server {
 public:
  Server(boost::asio::any_io_executor executor, Handler handler, Limits limits = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Port 0 picks a free one. The error names the address and, for EADDRINUSE, says which setting moves it.
  Result<SocketAddress> listen_tcp(SocketAddress address);
  /// Replaces a stale socket file that nobody listens on; the file gets `mode`.
  Result<void> listen_unix(const std::string& path, unsigned mode);
  /// Takes over a listening socket.
  Result<void> adopt(Fd listener);
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace causeway::web
