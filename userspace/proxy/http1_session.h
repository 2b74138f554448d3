#pragma once
// HTTP/1.1 from a client: its requests one after another, each to an endpoint of its own choice.
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/body.h"
#include "http/head.h"
#include "proxy/dial.h"
#include "proxy/session.h"

namespace causeway::proxy {

inline constexpr std::size_t kLargeHead = 68 * 1024;  ///< a little more than the parsers take

/// Of a request's body, what is kept for sending it again; a longer one is sent once.
inline constexpr std::size_t kReplayBytes = 64 * 1024;

class Http1Session final : public Session {
 public:
  explicit Http1Session(Downstream& downstream);
  /// Until the client ends, or must be ended.
  net::Task<> run();

  void on_drain() override;
  bool end_if_idle() override;

 private:
  enum class After : std::uint8_t {
    keep,    ///< the next request may come
    close,   ///< the last byte is sent; what the client still sends is dropped
    reset,   ///< the response is cut: the client must see that
    closed,  ///< the client is gone, or a tunnel has ended
  };
  /// How an attempt at one endpoint ended.
  enum class Ended : std::uint8_t {
    undecided,
    answered,     ///< the response reached the client as far as `after_` says
    failed,       ///< `failure_` says why; nothing of the response reached the client
    bad_request,  ///< the request's body is malformed: `reason_`
    request_cut,  ///< the client's end, or its silence (408), in the middle of its body
    client_gone,
  };

  // http1_session.cpp: the client's side
  enum class ReadHead : std::uint8_t { request, bad, end };
  net::Task<ReadHead> read_head();
  net::Task<boost::system::error_code> wait_for_client();
  net::Task<After> serve_request();
  net::Task<After> answer_failure();
  net::Task<After> answer(std::uint16_t status, std::string_view detail, bool close);
  net::Task<> linger();
  void note_bad_head();
  void begin_request();
  void follow_service();
  void count_request();
  void finish_request();
  std::string service_text() const;

  // http1_notes.cpp
  void log_request();
  void keep_head();
  void note_timeout();
  void note_failure();
  void note_cut(boost::system::error_code error);

  // http1_acquire.cpp: a connection
  enum class Acquired : std::uint8_t {
    ready,
    no_endpoint,
    exhausted,  ///< no endpoint that was not tried
    failed,     ///< the connect: `failure_`
    refused,    ///< by a limit: `refusal_`
    late,       ///< no connection came free in time: `refusal_`
    interrupted,
  };
  net::Task<Acquired> acquire();
  net::Task<Acquired> connect(Lease lease);
  net::Task<Acquired> wait_for_connection(Choice& choice);

  // http1_exchange.cpp: attempts, and the request's way
  net::Task<> attempt();
  net::Task<bool> send_request();
  net::Task<> pump_body();
  net::Task<bool> read_body();
  void keep_for_replay(std::string_view bytes);
  void bound_exchange(bool request_complete);

  // http1_retry.cpp: what becomes of an attempt
  bool wants_retry();
  bool set_answer_aside(const http::Framing& framing);
  net::Task<After> pass_on_held_answer();
  void report_response();
  void report_failed_answer();
  void report_attempt();
  upstream::Attempt describe_attempt() const;

  // http1_response.cpp: the response's way
  net::Task<> respond();
  net::Task<> respond_beside_pump();
  net::Task<bool> read_response_head();
  net::Task<bool> take_response_head();
  net::Task<> forward_response();
  net::Task<bool> stream_body(http::BodyReader& body, bool dechunk);
  net::Task<bool> splice_body(http::BodyReader& body);
  void response_cut(boost::system::error_code error);
  net::Task<bool> forward_bytes(std::string_view head, http::BodyReader& body, bool dechunk);
  net::Task<bool> to_client(std::string_view first, std::string_view second);
  net::Task<> tunnel();
  void fail_from(boost::system::error_code error);

  void on_endpoints_changed() override;
  void interrupt_upstream(boost::system::error_code reason) override;

  http::RequestParser request_parser_;
  http::ResponseParser response_parser_;
  http::Verdict verdict_;
  bool idle_ = false;     ///< between two requests
  SteadyTime started_{};  ///< when the request's head was complete

  // The request in hand.
  std::string request_head_;     ///< as it is sent on
  std::string kept_head_;        ///< as it came, once in() is a tunnel's
  std::string_view body_start_;  ///< what came of the body with the head, inside in()
  http::BodyReader body_;        ///< follows what is read from the client
  net::Buffer body_in_;          ///< the body's further bytes, and what follows it
  std::string replay_;           ///< the body's further bytes, while they are few
  bool replayable_ = true;
  bool fresh_ = false;        ///< the next attempt is a new connection to target_
  std::uint16_t status_ = 0;  ///< told to the client; 0: none
  bool counted_ = false;
  SteadyTime limit_{};  ///< when the response must be complete
  std::vector<EndpointId> tried_;
  unsigned retries_ = 0;
  Hold retrying_;  ///< while this request is one of max_retries
  /// An answer that another endpoint may better.
  struct HeldAnswer {
    explicit HeldAnswer(net::BufferPool& pool) : in(pool) {}
    Target target;
    net::Buffer in;
    UpstreamConnection connection;  ///< null: the answer came whole
  };
  std::unique_ptr<HeldAnswer> held_;
  bool passing_on_ = false;  ///< the answer that was held
  std::string refusal_;      ///< why no connection could be had
  ConnectionQueue::Waiter* waiter_ = nullptr;

  // The attempt in hand.
  UpstreamConnection upstream_;
  Target target_;
  net::Buffer upstream_in_;
  std::string response_head_;
  bool reused_ = false;            ///< the connection came from the pool
  bool reported_ = true;           ///< the pick of target_ has been reported on
  bool waiting_for_body_ = false;  ///< for the client to send on
  unsigned interim_heads_ = 0;     ///< of this attempt
  bool request_sent_ = false;      ///< the whole request is written
  bool last_response_ = false;     ///< an interim one says that the connection carries no other request
  bool response_begun_ = false;    ///< a byte of a response came
  bool tunnelling_ = false;
  std::size_t sent_ = 0;  ///< bytes of the request written to the socket
  Ended ended_ = Ended::undecided;
  After after_ = After::closed;
  upstream::Failure failure_ = upstream::Failure::reset;
  std::string_view reason_;  ///< why something is malformed
};

}  // namespace causeway::proxy
