#pragma once
// The records of Cloud Map services and their instances
// (https://docs.aws.amazon.com/cloud-map/latest/api/API_DnsConfig.html, API_RegisterInstance.html).
#include <string>
#include <vector>

#include "base/random.h"
#include "dns/message.h"
#include "model/snapshot.h"

namespace causeway::dns {

std::string address_rdata(const IpAddress& ip);

const CloudMapRecord* find_record(const CloudMapName& service, RecordType type);

/// A and AAAA of one instance.
void add_instance_records(std::vector<Record>& records, const CloudMapInstance& instance, const std::string& name,
                          std::uint16_t type, std::uint32_t ttl);

/// The records of `type` that the service's routing policy picks: MULTIVALUE up to eight healthy instances in random
/// order, WEIGHTED one; where none is healthy, all count as healthy. SRV brings its targets' addresses along. A service
/// with a CNAME record answers it for every type.
void add_service_records(Answer& answer, const CloudMapName& service, const std::string& name, std::uint16_t type,
                         Random& random);

}  // namespace causeway::dns
