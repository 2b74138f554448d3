#include "web/session.h"

#include <algorithm>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace causeway::web {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

using Stream = beast::basic_stream<Protocol, asio::any_io_executor>;
using Parser = http::request_parser<http::string_body>;
using ErrorCode = boost::system::error_code;

namespace {

constexpr std::chrono::seconds kHandlerTimeout{60};

http::response<http::string_body> to_message(Response response, unsigned version, bool keep_alive, bool head) {
  http::response<http::string_body> message;
  message.version(version);
  message.result(response.status);
  if (!response.content_type.empty()) message.set(http::field::content_type, response.content_type);
  for (const auto& header : response.headers) message.insert(header.name, header.value);
  message.keep_alive(keep_alive);
  if (head) {
    message.content_length(response.body.size());
  } else {
    message.body() = std::move(response.body);
    message.prepare_payload();
  }
  return message;
}

/// Beast lets these pass; each lets two parsers see different messages (RFC 9112, 3.2 and 6.3).
const char* framing_fault(const http::request<http::string_body>& head) {
  const auto lengths = head.count(http::field::content_length);
  const auto encodings = head.count(http::field::transfer_encoding);
  if (lengths > 1) return "more than one Content-Length";
  if (lengths + encodings > 1) return "Content-Length beside Transfer-Encoding";
  if (encodings == 1 && !beast::iequals(head[http::field::transfer_encoding], "chunked")) {
    return "a Transfer-Encoding other than chunked";
  }
  if (encodings == 1 && head.version() < 11) return "Transfer-Encoding in HTTP/1.0";
  if (head.count(http::field::host) != 1 && (head.version() >= 11 || head.count(http::field::host) > 1)) {
    return "not exactly one Host";
  }
  return nullptr;
}

Request to_request(const http::request<http::string_body>& message, const ucred& peer) {
  Request request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  for (const auto& field : message)
    request.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  request.body = message.body();
  request.peer_uid = peer.uid;
  request.peer_pid = peer.pid;
  return request;
}

Response refusal(unsigned status, std::string text) {
  Response response;
  response.status = status;
  response.body = std::move(text) + "\n";
  return response;
}

/// The place where a handler's answer arrives.
struct Answer {
  explicit Answer(const asio::any_io_executor& executor) : ready(executor, asio::steady_timer::time_point::max()) {}
  asio::steady_timer ready;
  std::optional<Response> response;
  void set(Response value) {
    if (response) return;
    response = std::move(value);
    ready.cancel();
  }
};

/// Answers 500 when a handler drops its Reply unanswered.
struct ReplyGuard {
  explicit ReplyGuard(std::shared_ptr<Answer> a) : answer(std::move(a)) {}
  ReplyGuard(const ReplyGuard&) = delete;
  ReplyGuard& operator=(const ReplyGuard&) = delete;
  ~ReplyGuard() { answer->set(refusal(500, "the request was dropped without an answer")); }
  std::shared_ptr<Answer> answer;
};

}  // namespace

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<Sessions> sessions, Socket socket)
      : sessions_(std::move(sessions)), stream_(std::move(socket)) {
    const int fd = stream_.socket().native_handle();
    int domain = 0;
    socklen_t length = sizeof domain;
    ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
    if (domain == AF_UNIX) {
      ucred credentials{};
      length = sizeof credentials;
      if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0) peer_ = credentials;
    } else {
      const int one = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    sessions_->open.insert(this);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { sessions_->open.erase(this); }

  static asio::awaitable<void> run(std::shared_ptr<Session> self) {
    bool full = self->sessions_->open.size() > self->sessions_->limits.connections;
    if (full) {
      co_await self->refuse(503, "too many connections; try again");
      co_return;
    }
    while (!self->sessions_->stopped) {
      const bool more = co_await self->serve_one();
      if (!more) break;
    }
    ErrorCode ignored;
    self->stream_.socket().shutdown(Socket::shutdown_send, ignored);
  }

  void close() {
    stream_.close();
    if (answer_) answer_->ready.cancel();
  }

 private:
  using Errors = asio::redirect_error_t<asio::use_awaitable_t<>>;
  static auto into(ErrorCode& ec) { return asio::redirect_error(asio::use_awaitable, ec); }

  asio::awaitable<bool> serve_one() {
    const auto& limits = sessions_->limits;
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(limits.header_bytes));
    parser_->body_limit(limits.body_bytes);
    const bool read = co_await read_request();
    if (!read) co_return false;
    auto message = parser_->release();
    auto response = co_await answer(to_request(message, peer_));
    if (!response) co_return false;
    const bool keep_alive = message.keep_alive() && !sessions_->stopped;
    const bool written = co_await write(
        to_message(std::move(*response), message.version(), keep_alive, message.method() == http::verb::head));
    co_return written&& keep_alive;
  }

  /// False: the connection ends (the reason was answered where there was one to give).
  asio::awaitable<bool> read_request() {
    const auto& limits = sessions_->limits;
    ErrorCode ec;
    // Idle until the first byte, then the whole request within the read timeout.
    if (buffer_.size() == 0) {
      stream_.expires_after(served_ ? limits.idle_timeout : std::min(limits.first_byte_timeout, limits.idle_timeout));
      auto space = buffer_.prepare(4096);
      const auto n = co_await stream_.async_read_some(space, into(ec));
      if (ec) co_return false;
      buffer_.commit(n);
    }
    stream_.expires_after(limits.read_timeout);
    co_await http::async_read_header(stream_, buffer_, *parser_, into(ec));
    if (ec) co_return co_await refuse(ec);
    if (const char* fault = framing_fault(parser_->get())) {
      co_await refuse(400, fmt::format("malformed HTTP request: {}", fault));
      co_return false;
    }
    const auto expect = parser_->get()[http::field::expect];
    if (!expect.empty()) {
      if (!beast::iequals(expect, "100-continue")) {
        co_await refuse(417, "of Expect only 100-continue is known");
        co_return false;
      }
      const bool written = co_await write_continue();
      if (!written) co_return false;
    }
    co_await http::async_read(stream_, buffer_, *parser_, into(ec));
    if (ec) co_return co_await refuse(ec);
    served_ = true;
    co_return true;
  }

  asio::awaitable<bool> write_continue() {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    ErrorCode ec;
    co_await asio::async_write(stream_, asio::buffer(kContinue), into(ec));
    co_return !ec;
  }

  /// Answers what is wrong with the request, if the peer is still there. Always false.
  asio::awaitable<bool> refuse(ErrorCode ec) {
    const auto& limits = sessions_->limits;
    if (ec == http::error::body_limit) {
      co_await refuse(413, fmt::format("the body is larger than {} bytes", limits.body_bytes));
    } else if (ec == http::error::header_limit || ec == http::error::buffer_overflow) {
      co_await refuse(431, fmt::format("the header is larger than {} bytes", limits.header_bytes));
    } else if (ec.category() == http::make_error_code(http::error::bad_method).category() &&
               ec != http::error::end_of_stream && ec != http::error::partial_message) {
      co_await refuse(400, fmt::format("malformed HTTP request: {}", ec.message()));
    }
    co_return false;
  }

  asio::awaitable<void> refuse(unsigned status, std::string text) {
    const bool written = co_await write(to_message(refusal(status, std::move(text)), 11, false, false));
    if (!written) co_return;
    ErrorCode ec;
    stream_.socket().shutdown(Socket::shutdown_send, ec);
    // Bytes left unread would make close() send a reset, which can overtake the answer: take some of them.
    stream_.expires_after(std::chrono::seconds(1));
    std::size_t taken = 0;
    char rest[4096];
    while (!ec && taken < 256 * 1024) taken += co_await stream_.async_read_some(asio::buffer(rest), into(ec));
  }

  asio::awaitable<std::optional<Response>> answer(Request request) {
    const auto executor = stream_.get_executor();
    answer_ = std::make_shared<Answer>(executor);
    const auto answer = answer_;
    {
      const auto guard = std::make_shared<ReplyGuard>(answer);
      sessions_->handler(request, [guard](Response response) { guard->answer->set(std::move(response)); });
    }
    if (!answer->response) {
      answer->ready.expires_after(kHandlerTimeout);
      ErrorCode ec;
      co_await answer->ready.async_wait(into(ec));
    }
    answer_.reset();
    if (sessions_->stopped) co_return std::nullopt;
    if (!answer->response) co_return refusal(504, "no answer within a minute");
    co_return std::move(*answer->response);
  }

  asio::awaitable<bool> write(http::response<http::string_body> message) {
    stream_.expires_after(sessions_->limits.read_timeout);
    ErrorCode ec;
    if (message.body().empty() && message.has_content_length()) {
      // An answer to HEAD: the length of a body that does not follow.
      http::response_serializer<http::string_body> serializer(message);
      co_await http::async_write_header(stream_, serializer, into(ec));
    } else {
      co_await http::async_write(stream_, message, into(ec));
    }
    co_return !ec;
  }

  std::shared_ptr<Sessions> sessions_;
  Stream stream_;
  ucred peer_{-1, ~0u, ~0u};
  bool served_ = false;  ///< a whole request came on this connection
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::shared_ptr<Answer> answer_;
};

void start_session(std::shared_ptr<Sessions> sessions, Socket socket) {
  const auto executor = socket.get_executor();
  asio::co_spawn(executor, Session::run(std::make_shared<Session>(std::move(sessions), std::move(socket))),
                 asio::detached);
}

void stop_sessions(Sessions& sessions) {
  // Copied: a session that is closed may end, and leave the set, at once.
  for (auto* session : std::set<Session*>(sessions.open)) session->close();
}

}  // namespace causeway::web
