#include <array>
#include <atomic>
#include <cerrno>

#include <boost/asio/buffer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include "feed/codec.h"
#include "base/descriptors.h"
#include "feed/feed.h"
#include "feed/frame.h"
#include "feed/handover.h"

namespace causeway::feed {

namespace asio = boost::asio;
using boost::system::error_code;

struct Publisher::State : std::enable_shared_from_this<State> {
  explicit State(asio::any_io_executor executor) : socket(std::move(executor)) {}

  void read();
  void take(std::string_view bytes);
  void write();
  void fill();
  void fail(Error error);

  asio::local::stream_protocol::socket socket;
  bool handed_over = false;
  bool closed = false;
  bool writing = false;
  bool drain_wanted = false;
  SnapshotPtr sent;     ///< what the proxy has once the socket delivered it
  SnapshotPtr pending;  ///< the newest; those between are never sent
  std::string out;
  FrameReader frames{kMaxFrameToAgent};
  std::array<char, 512> in{};
  std::atomic<std::uint64_t> acknowledged{0};
  std::function<void(Revision)> acknowledged_callback;
  std::function<void(Error)> closed_callback;
};

void Publisher::State::read() {
  socket.async_read_some(asio::buffer(in), [self = shared_from_this()](error_code error, std::size_t n) {
    if (self->closed) return;
    if (error == asio::error::eof) return self->fail(make_error("read", "feed", "the proxy closed it"));
    if (error) return self->fail(errno_error(error.value(), "read", "feed"));
    self->take(std::string_view(self->in.data(), n));
    if (!self->closed) self->read();
  });
}

void Publisher::State::take(std::string_view bytes) {
  frames.feed(bytes);
  for (;;) {
    auto frame = frames.next();
    if (!frame) return fail(frame.error());
    if (!*frame) return;
    const auto revision = decode_acknowledgement(**frame);
    if (!revision) return fail(revision.error());
    if (sent == nullptr || sent->revision < *revision) {
      return fail(make_error("read", "acknowledgement", "the proxy acknowledged a revision that was never sent"));
    }
    if (revision->value < acknowledged.load(std::memory_order_relaxed)) continue;
    acknowledged.store(revision->value, std::memory_order_release);
    // A copy: the callback may destroy the Publisher or set another callback.
    if (const auto callback = acknowledged_callback) callback(*revision);
    if (closed) return;
  }
}

void Publisher::State::fill() {
  if (pending != nullptr && pending != sent) {
    for (const auto& message : encode_delta(sent.get(), *pending)) {
      if (auto framed = append_frame(out, message, kMaxFrameToProxy); !framed) return fail(framed.error());
    }
    sent = std::move(pending);
  }
  pending = nullptr;
  if (out.empty() && drain_wanted) {
    drain_wanted = false;
    if (auto framed = append_frame(out, encode_drain(), kMaxFrameToProxy); !framed) fail(framed.error());
  }
}

void Publisher::State::write() {
  if (writing || closed || !handed_over) return;
  fill();
  if (closed || out.empty()) return;
  writing = true;
  asio::async_write(socket, asio::buffer(out), [self = shared_from_this()](error_code error, std::size_t) {
    self->writing = false;
    std::string().swap(self->out);  // a first snapshot is large and rare: its memory goes back
    if (self->closed) return;
    if (error) return self->fail(errno_error(error.value(), "write", "feed"));
    self->write();
  });
}

void Publisher::State::fail(Error error) {
  if (std::exchange(closed, true)) return;
  error_code ignored;
  socket.close(ignored);
  if (const auto callback = closed_callback) callback(std::move(error));
}

Publisher::Publisher(asio::any_io_executor executor, Fd socket) : state_(std::make_shared<State>(executor)) {
  error_code error;
  const int fd = socket.release();
  state_->socket.assign(asio::local::stream_protocol(), fd, error);
  if (error) Fd(fd).reset();
  // Posted: the callbacks are set only after construction.
  asio::post(executor, [state = state_, error] {
    if (state->closed) return;
    if (error) return state->fail(errno_error(error.value(), "open", "feed"));
    state->read();
  });
}

Publisher::~Publisher() {
  state_->acknowledged_callback = nullptr;
  state_->closed_callback = nullptr;
  state_->closed = true;
  error_code ignored;
  state_->socket.close(ignored);
}

Result<void> Publisher::hand_over(const ProxySettings& settings, const Handover& handover) {
  std::vector<int> fds;
  for (const Fd& listener : handover.listeners) fds.push_back(listener.get());
  fds.push_back(handover.counters.get());
  if (handover.heartbeat) fds.push_back(handover.heartbeat.get());
  if (handover.access_log) fds.push_back(handover.access_log.get());
  std::string frame;
  if (auto framed = append_frame(frame, encode_handover(settings, handover), kMaxFrameToProxy); !framed)
    return framed.error();
  if (auto sent = send_with_descriptors(state_->socket.native_handle(), frame, fds); !sent) return sent.error();
  state_->handed_over = true;
  state_->write();
  return {};
}

void Publisher::publish(SnapshotPtr snapshot) {
  asio::dispatch(state_->socket.get_executor(), [state = state_, snapshot = std::move(snapshot)]() mutable {
    state->pending = std::move(snapshot);
    state->write();
  });
}

void Publisher::drain() {
  asio::dispatch(state_->socket.get_executor(), [state = state_] {
    state->drain_wanted = true;
    state->write();
  });
}

Revision Publisher::acknowledged() const {
  return Revision(state_->acknowledged.load(std::memory_order_acquire));
}

void Publisher::on_acknowledged(std::function<void(Revision)> callback) {
  state_->acknowledged_callback = std::move(callback);
}

void Publisher::on_closed(std::function<void(Error)> callback) {
  state_->closed_callback = std::move(callback);
}

}  // namespace causeway::feed
