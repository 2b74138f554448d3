#include <array>
#include <optional>

#include <boost/asio/buffer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>

#include "base/log.h"
#include "feed/codec.h"
#include "feed/feed.h"
#include "feed/frame.h"

namespace causeway::feed {

namespace asio = boost::asio;
using boost::system::error_code;

struct Receiver::State : std::enable_shared_from_this<State> {
  explicit State(asio::any_io_executor executor) : socket(std::move(executor)) {}

  void read();
  void take(std::string_view bytes);
  void write();
  void close(std::optional<Error> error);

  asio::local::stream_protocol::socket socket;
  bool closed = false;
  bool writing = false;
  FrameReader frames{kMaxFrameToProxy};
  Applier applier;
  std::array<char, 16 * 1024> in{};
  std::optional<Revision> to_acknowledge;  ///< an empty store's is 0
  std::string out;
  std::function<void(SnapshotPtr)> snapshot_callback;
  std::function<void()> drain_callback;
  std::function<void()> closed_callback;
};

void Receiver::State::read() {
  socket.async_read_some(asio::buffer(in), [self = shared_from_this()](error_code error, std::size_t n) {
    if (self->closed) return;
    if (error == asio::error::eof) return self->close(std::nullopt);
    if (error) return self->close(errno_error(error.value(), "read", "feed"));
    self->take(std::string_view(self->in.data(), n));
    if (!self->closed) self->read();
  });
}

void Receiver::State::take(std::string_view bytes) {
  frames.feed(bytes);
  for (;;) {
    auto frame = frames.next();
    if (!frame) return close(frame.error());
    if (!*frame) return;
    auto outcome = applier.apply(**frame);
    if (!outcome) return close(outcome.error());
    if (outcome->snapshot != nullptr) {
      if (const auto callback = snapshot_callback) callback(std::move(outcome->snapshot));
    }
    if (closed) return;
    if (outcome->drain) {
      if (const auto callback = drain_callback) callback();
    }
    if (closed) return;
  }
}

void Receiver::State::write() {
  if (writing || closed || !to_acknowledge) return;
  out.clear();
  const auto framed =
      append_frame(out, encode_acknowledgement(*std::exchange(to_acknowledge, std::nullopt)), kMaxFrameToAgent);
  if (!framed) return close(framed.error());
  writing = true;
  asio::async_write(socket, asio::buffer(out), [self = shared_from_this()](error_code error, std::size_t) {
    self->writing = false;
    if (self->closed) return;
    if (error) return self->close(errno_error(error.value(), "acknowledge on", "feed"));
    self->write();
  });
}

void Receiver::State::close(std::optional<Error> error) {
  if (std::exchange(closed, true)) return;
  if (error) log::error("{}; going on with the last snapshot", error->message());
  error_code ignored;
  socket.close(ignored);
  if (const auto callback = closed_callback) callback();
}

Receiver::Receiver(asio::any_io_executor executor, Fd socket) : state_(std::make_shared<State>(std::move(executor))) {
  error_code error;
  const int fd = socket.release();
  state_->socket.assign(asio::local::stream_protocol(), fd, error);
  if (error) Fd(fd).reset();  // start() then finds the socket closed
}

Receiver::~Receiver() {
  state_->snapshot_callback = nullptr;
  state_->drain_callback = nullptr;
  state_->closed_callback = nullptr;
  state_->closed = true;
  error_code ignored;
  state_->socket.close(ignored);
}

void Receiver::on_snapshot(std::function<void(SnapshotPtr)> callback) {
  state_->snapshot_callback = std::move(callback);
}

void Receiver::on_drain(std::function<void()> callback) {
  state_->drain_callback = std::move(callback);
}

void Receiver::on_closed(std::function<void()> callback) {
  state_->closed_callback = std::move(callback);
}

void Receiver::start() {
  state_->read();
}

void Receiver::acknowledge(Revision revision) {
  asio::dispatch(state_->socket.get_executor(), [state = state_, revision] {
    state->to_acknowledge = revision;
    state->write();
  });
}

}  // namespace causeway::feed
