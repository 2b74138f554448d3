#include "proxy/refusal.h"

#include <string>

#include <boost/asio/error.hpp>

#include "base/log.h"
#include "http/detect.h"
#include "http/response.h"
#include "net/connection.h"
#include "net/socket_options.h"
#include "proxy/access_records.h"

namespace causeway::proxy {

using boost::system::error_code;
using namespace std::chrono_literals;

namespace {

constexpr auto kRefusalTime = 1s;  ///< for the request to come, and the answer to be read
constexpr std::size_t kRefusalBytes =
    256 * 1024;  ///< of the request that are dropped, so that no RST overtakes the answer
constexpr std::string_view kRetryAfter = "retry-after: 1\r\n";

std::string_view detail_of(observe::Bound bound) {
  switch (bound) {
    case observe::Bound::workload:
      return "this client has as many connections as one workload may have on this host "
             "(limits.connections_per_workload; where that is not set, a share of limits.connections and limits.descriptors)";
    case observe::Bound::descriptors:
      return "the proxy of this host has no file descriptor left for another client (limits.descriptors)";
    default:
      return "the proxy of this host has as many clients as it may have (limits.connections)";
  }
}

std::string unavailable(observe::Bound bound, bool to_head) {
  std::string answer;
  http::append_answer({.status = 503, .detail = detail_of(bound), .close = true, .to_head = to_head}, answer);
  answer.insert(answer.find("\r\n") + 2, kRetryAfter);
  return answer;
}

/// A line of the access log at its end, if the service is logged.
class RefusalRecord {
 public:
  RefusalRecord(Context& context, const Service& service, ClientId from, int fd, observe::Bound bound)
      : context_(context), service_(service), from_(from), started_(std::chrono::steady_clock::now()) {
    if (!is_logged(service_)) return;
    record_.flags.set(observe::Flag::overload);
    record_.reason = detail_of(bound);
    record_.peer = peer_of(fd);
  }
  ~RefusalRecord() {
    if (!is_logged(service_)) return;
    try {
      write_record(context_, service_, from_, started_, record_);
    } catch (const std::exception& failure) {
      log::error("a line of the access log is lost: {}", failure.what());
    }
  }
  RefusalRecord(const RefusalRecord&) = delete;
  RefusalRecord& operator=(const RefusalRecord&) = delete;

  void answered(std::size_t received, std::size_t sent) {
    record_.protocol = "HTTP/1.1";
    record_.status = 503;
    record_.bytes_received = received;
    record_.bytes_sent = sent;
  }

 private:
  Context& context_;
  const Service& service_;
  ClientId from_;
  SteadyTime started_;
  observe::AccessRecord record_;
};

class CountedRefusal {
 public:
  explicit CountedRefusal(std::size_t& count) : count_(count) { ++count_; }
  ~CountedRefusal() { --count_; }
  CountedRefusal(const CountedRefusal&) = delete;
  CountedRefusal& operator=(const CountedRefusal&) = delete;

 private:
  std::size_t& count_;
};

/// True: an HTTP/1 request begins in `in`.
net::Task<bool> request_comes(net::Connection& client, net::Buffer& in) {
  for (;;) {
    const auto room = in.space();
    if (room.empty()) co_return false;
    const net::IoResult read = co_await client.read_some(room);
    if (read.error) co_return false;
    in.commit(read.bytes);
    const auto detected = http::detect(in.view());
    if (detected != http::Detection::need_more) co_return detected == http::Detection::http1;
  }
}

net::Task<> drop_what_comes(net::Connection& client, net::Buffer& scratch) {
  for (std::size_t dropped = 0; dropped < kRefusalBytes;) {
    scratch.release();
    const net::IoResult read = co_await client.read_some(scratch.space());
    if (read.error) co_return;
    dropped += read.bytes;
  }
}

}  // namespace

void note_exceeded(observe::Slot& slot, observe::Bound bound) {
  observe::bump(slot.bounds_exceeded[static_cast<std::size_t>(bound)]);
}

void log_reset(Context& context, const Service& service, ClientId from, int fd, observe::Bound bound) {
  const RefusalRecord record(context, service, from, fd, bound);
}

net::Task<> refuse_client(Context& context, observe::Slot& slot, std::shared_ptr<const Service> service, ClientId from,
                          Fd socket, observe::Bound bound) {
  note_exceeded(slot, bound);
  RefusalRecord record(context, *service, from, socket.get(), bound);
  net::Connection client(context.loop, std::move(socket));
  const AppProtocol protocol = service->protocol;
  const bool may_be_http = protocol == AppProtocol::http || protocol == AppProtocol::detect;
  if (!may_be_http || context.refusals >= context.admission.max_refusals()) {
    client.reset();
    co_return;
  }
  const CountedRefusal counted(context.refusals);
  net::Deadline deadline(
      context.loop.wheel, [](void* c) { static_cast<net::Connection*>(c)->interrupt(boost::asio::error::timed_out); },
      &client);
  deadline.expires_after(kRefusalTime);
  net::Buffer in(context.buffers);
  const bool request = co_await request_comes(client, in);
  if (!request) {
    client.reset();
    co_return;
  }
  std::string answer = unavailable(bound, in.view().starts_with("HEAD "));
  iovec bytes{answer.data(), answer.size()};
  const error_code error = co_await client.write_all({&bytes, 1});
  if (error) co_return;
  record.answered(in.view().size(), answer.size());
  client.shutdown_send();
  co_await drop_what_comes(client, in);
}

}  // namespace causeway::proxy
