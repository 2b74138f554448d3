#pragma once
// What becomes of one query, whichever transport brought it: dropped, answered here, or forwarded.
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/random.h"
#include "dns/message.h"
#include "dns/server.h"
#include "dns/zone.h"

namespace causeway::dns {

enum class Transport { udp, tcp };

struct Decision {
  enum class Kind {
    drop,
    reply,     ///< send `reply`
    forward,   ///< ask `resolvers`, one after another
    transfer,  ///< forward a zone transfer: many messages answer it (TCP only)
  };
  Kind kind = Kind::drop;
  Query query;
  std::vector<std::uint8_t> reply;
  std::vector<SocketAddress> resolvers;
};

/// On the server's thread, but set_zone(), zone() and revision(): any.
class Responder {
 public:
  Responder(Counters& counters, std::vector<SocketAddress> fallback_resolvers);

  void set_zone(std::shared_ptr<const Zone> zone);
  std::shared_ptr<const Zone> zone() const { return zone_.load(); }
  Revision revision() const;
  /// Our own listeners, which must never be asked.
  void set_own(std::vector<SocketAddress> listeners) { own_ = std::move(listeners); }

  Decision decide(Bytes packet, const Asker& asker, Transport transport);
  /// Counts a query whose resolver answered.
  void relayed();
  /// The answer to a query that could not be forwarded; counts it.
  std::vector<std::uint8_t> servfail(Bytes packet, const Query& query);

 private:
  Decision forward(Decision decision, Bytes packet, const Asker& asker, Transport transport);
  void count(const Answer& answer);
  bool is_own(const SocketAddress& address) const;

  Counters& counters_;
  std::vector<SocketAddress> fallback_;
  std::vector<SocketAddress> own_;
  std::atomic<std::shared_ptr<const Zone>> zone_;
  FastRandom random_;
};

}  // namespace causeway::dns
