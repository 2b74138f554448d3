#include "proxy/accept.h"

#include <boost/asio/error.hpp>

#include "base/log.h"
#include "http/detect.h"
#include "net/socket_options.h"
#include "proxy/http1_session.h"
#include "proxy/refusal.h"
#include "proxy/session.h"
#include "proxy/tcp_session.h"

namespace causeway::proxy {

using boost::system::error_code;

namespace {

enum class Protocol : std::uint8_t { http1, tcp, silent, gone };

/// Reads until the first bytes say what they are. `silence`: how long to wait for the first of them.
net::Task<Protocol> recognise(Downstream& down, std::chrono::nanoseconds silence) {
  net::Deadline deadline(
      down.context.loop.wheel, [](void* c) { static_cast<net::Connection*>(c)->interrupt(boost::asio::error::timed_out); },
      &down.client);
  deadline.expires_after(silence);
  for (;;) {
    const auto room = down.in.space();
    const net::IoResult read = co_await down.client.read_some(room);
    if (read.error == boost::asio::error::timed_out) {
      down.client.resume();
      if (!down.in.empty()) co_return Protocol::tcp;
      down.in.release();
      co_return Protocol::silent;
    }
    // An end without a byte is passed on: the server may still speak.
    if (read.error == boost::asio::error::eof) co_return Protocol::tcp;
    if (read.error) co_return Protocol::gone;
    const bool first = down.in.empty();
    down.in.commit(read.bytes);
    switch (http::detect(down.in.view())) {
      case http::Detection::http1:
        co_return Protocol::http1;
      case http::Detection::other:
        co_return Protocol::tcp;
      case http::Detection::need_more:
        break;
    }
    if (first) {
      deadline.clear();
      deadline.expires_after(kDetectTime);
    }
  }
}

net::Task<> run_http1(Downstream& down) {
  Http1Session session(down);
  co_await session.run();
}

net::Task<> run_tcp(Downstream& down) {
  TcpSession session(down);
  const auto connected = co_await session.connect();
  if (connected != TcpSession::Connected::yes) {
    if (connected == TcpSession::Connected::full) session.refuse_full();
    down.client.reset();
    co_return;
  }
  co_await session.run();
}

/// At a limit of the service a request can wait for its turn, anything else is refused: the client is given the time that
/// a connect may take to show that it speaks HTTP.
net::Task<bool> turns_out_http(Downstream& down, TcpSession& session) {
  const auto protocol = co_await recognise(down, down.service->settings().connect_timeout);
  if (protocol == Protocol::http1) {
    session.becomes_http();
    co_return true;
  }
  session.refuse_full();
  down.client.reset();
  co_return false;
}

/// The client was silent: a protocol in which the server speaks first, or an HTTP client that connects ahead of its
/// request. Whoever speaks first decides. True: HTTP; else the connection has ended.
net::Task<bool> run_silent(Downstream& down) {
  TcpSession session(down);
  const auto connected = co_await session.connect();
  if (connected == TcpSession::Connected::full) {
    const bool http = co_await turns_out_http(down, session);
    co_return http;
  }
  if (connected == TcpSession::Connected::no) {
    down.client.reset();
    co_return false;
  }
  const auto speaker = co_await session.first_to_speak();
  if (speaker == TcpSession::Speaker::nobody) co_return false;
  auto protocol = Protocol::tcp;
  if (speaker == TcpSession::Speaker::client) protocol = co_await recognise(down, kDetectTime);
  if (protocol == Protocol::gone) co_return false;
  if (protocol != Protocol::http1) {
    co_await session.run();
    co_return false;
  }
  session.give_to_pool();
  co_return true;
}

net::Task<> run_session(Downstream& down) {
  switch (down.service->service().protocol) {
    case AppProtocol::http:
      co_await run_http1(down);
      co_return;
    case AppProtocol::detect:
      break;
    case AppProtocol::http2:
    case AppProtocol::grpc:
    case AppProtocol::tcp:
      co_await run_tcp(down);
      co_return;
  }
  const auto protocol = co_await recognise(down, kDetectSilence);
  bool http = protocol == Protocol::http1;
  if (protocol == Protocol::tcp) co_await run_tcp(down);
  if (protocol == Protocol::silent) http = co_await run_silent(down);
  if (http) co_await run_http1(down);
}

/// Counts a connection while it lives.
class Counted {
 public:
  explicit Counted(observe::Slot& slot) : slot_(slot) {
    observe::bump(slot_.connections_opened);
    observe::bump(slot_.connections_active);
  }
  ~Counted() { observe::drop(slot_.connections_active); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  observe::Slot& slot_;
};

void refuse(const Fd& socket, const Error& why) {
  log::debug("connection refused: {}", why.message());
  net::set_reset_on_close(socket.get());
}

/// The place of a client that may be served; or the bound that is in the way.
Admission::Verdict admit(Context& context, ClientId client, const Fd& socket) {
  auto verdict = context.admission.enter(client);
  // Only for one that may come in is anything ended: a workload beyond its share must not evict the others' connections.
  if (verdict.place && context.admission.is_scarce(socket.get()) && context.relieve() == Context::Relief::none) {
    return {std::nullopt, observe::Bound::descriptors};
  }
  return verdict;
}

}  // namespace

net::Task<> serve(Context& context, Fd socket) {
  const auto origin = context.origins.origin(socket.get());
  if (!origin) {
    refuse(socket, origin.error());
    co_return;
  }
  const auto dialled = dialled_address(*origin);
  const Alias* alias = context.routes() != nullptr ? context.routes()->find(dialled) : nullptr;
  auto state = alias != nullptr ? context.service(alias->service) : nullptr;
  if (state == nullptr) {
    refuse(socket, make_error("route", dialled.to_string(), "no alias of the snapshot has this address and port"));
    co_return;
  }
  observe::Slot& slot = context.slot(alias->service, ClientId(origin->client_id));
  const auto verdict = admit(context, ClientId(origin->client_id), socket);
  if (!verdict.place) {
    co_await refuse_client(context, slot, state->set.service(), ClientId(origin->client_id), std::move(socket),
                           verdict.bound);
    co_return;
  }
  const Counted counted(slot);
  Downstream down(context, std::move(socket), std::move(state), slot, ClientId(origin->client_id),
                  alias->name);
  try {
    co_await run_session(down);
  } catch (const std::exception& failure) {
    // Out of memory, or a defect: it must not take the other connections along.
    log::error("a session of service \"{}\" ended: {}", down.service->service().discovery_name, failure.what());
    down.client.reset();
  }
}

void turn_away(Context& context, Fd socket) {
  net::set_reset_on_close(socket.get());
  const auto origin = context.origins.origin(socket.get());
  if (!origin || context.routes() == nullptr) return;
  const Alias* alias = context.routes()->find(dialled_address(*origin));
  if (alias == nullptr) return;
  const ClientId from(origin->client_id);
  note_exceeded(context.slot(alias->service, from), observe::Bound::descriptors);
  if (const auto state = context.service(alias->service); state != nullptr)
    log_reset(context, state->service(), from, socket.get(), observe::Bound::descriptors);
}

}  // namespace causeway::proxy
