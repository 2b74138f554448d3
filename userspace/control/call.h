#pragma once
// One API call: what an operation reads, and the transaction it asks for.
#include <functional>
#include <string>

#include <boost/json/object.hpp>

#include "base/clock.h"
#include "base/ip.h"
#include "base/random.h"
#include "control/state.h"
#include "model/settings_table.h"
#include "model/snapshot.h"
#include "store/store.h"

namespace causeway::control {

/// What AWS answers: `__type` and the message, and members of typed exceptions.
struct ApiError {
  unsigned status = 400;
  std::string type;  ///< "NamespaceAlreadyExists"
  std::string message;
  json::object members;  ///< e.g. NamespaceId
};

struct ApiResult {
  json::object body;
  std::optional<ApiError> error;
};

struct Settings {
  std::string region = "us-east-1";
  std::string account = "000000000000";
  IpPrefix alias_v4, alias_v6, task_v4;
  bool access_log_allowed = true;                         ///< false: nothing is logged, whatever a service asks for
  AccessLogSettings access_log;                           ///< of services without an accessLogConfiguration
  SettingValues default_settings;                         ///< [defaults] of the configuration
  std::map<std::string, SettingValues> service_settings;  ///< [service."…"], by setting_scope()
  /// At most; a hundred thousand registrations would else be remembered for a day.
  std::size_t ended_operations_kept = 10'000;
};

/// Names of next_number(): one counter a kind of number in the data path.
inline constexpr const char* kNamespaceNumbers = "namespace";  ///< NamespaceRecord::number
inline constexpr const char* kServiceNumbers = "service";      ///< ServiceRecord::number
inline constexpr const char* kEndpointNumbers = "endpoint";    ///< InstanceRecord::number
inline constexpr const char* kClientNumbers = "client";        ///< EcsServiceRecord::number

/// A handler validates against `state`, fills `txn` and returns the answer. The dispatcher commits `txn` (with compares
/// that make the state it read still true), applies the events, and only then answers. Nothing is written on an error.
class Call {
 public:
  Call(const State& s, const Settings& cfg, const Clock& c, Random& r) : state(s), settings(cfg), clock(c), random(r) {}
  const State& state;
  const Settings& settings;
  const Clock& clock;
  Random& random;
  store::Transaction txn;

  /// Adds a put of the record (last one of a key wins).
  template <class R>
  void put(const R& record) {
    put_raw(key_of(record), encode(record));
  }
  template <class R>
  void erase(const R& record) {
    erase_raw(key_of(record));
  }
  void put_raw(std::string key, std::string value);
  /// Of a put and an erase of one key the later one counts.
  void erase_raw(std::string key);
  /// The next number of /counters/NAME, 1 first; written with this transaction. Numbers are never given twice.
  std::uint64_t next_number(const std::string& name);
  Seconds now() const;
  /// Makes and puts an OperationRecord; it becomes SUCCESS once the data path acknowledged this transaction's revision.
  std::string start_operation(std::string type, std::map<std::string, std::string> targets);
  std::string sd_arn(std::string_view resource) const;   ///< arn:aws:servicediscovery:REGION:ACCOUNT:RESOURCE
  std::string ecs_arn(std::string_view resource) const;  ///< arn:aws:ecs:REGION:ACCOUNT:RESOURCE

 private:
  std::map<std::string, std::uint64_t> given_;
};

using Handler = std::function<ApiResult(Call&, const json::object& input)>;

ApiResult fail(unsigned status, std::string type, std::string message, json::object members = {});

/// Operation name ("CreateHttpNamespace") to handler.
using Operations = std::map<std::string, Handler, std::less<>>;
Operations service_discovery_operations();
Operations ecs_operations();

}  // namespace causeway::control
