#include "control/sd_endpoint.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/core.h>

#include "control/compiler_endpoints.h"
#include "control/sd_common.h"
#include "control/sd_make.h"

namespace causeway::control::sd {
namespace {

using Attributes = std::map<std::string, std::string>;

constexpr std::size_t kCustomAttributes = 30;
constexpr std::size_t kAttributeCharacters = 5000;

const std::string* find(const Attributes& attributes, const char* key) {
  const auto found = attributes.find(key);
  return found == attributes.end() ? nullptr : &found->second;
}

std::string unfit_address(const Settings& settings, const Attributes& attributes, const char* key, bool v4) {
  const auto* value = find(attributes, key);
  if (value == nullptr) return {};
  const auto address = IpAddress::parse(*value);
  const bool dotted = value->find(':') == std::string::npos;
  if (!address || dotted != v4) {
    return fmt::format("{} must be an {} address, got \"{}\"", key, v4 ? "IPv4" : "IPv6", *value);
  }
  if (!v4 && address->is_v4()) {
    return fmt::format("{} is the IPv4 address {} in IPv6 form; give it as AWS_INSTANCE_IPV4", key,
                       address->to_string());
  }
  const auto reason = unusable_endpoint_address(settings, *address);
  return reason.empty() ? std::string() : fmt::format("{}: {}", key, reason);
}

std::string unfit_port(const Attributes& attributes) {
  const auto* value = find(attributes, "AWS_INSTANCE_PORT");
  if (value == nullptr) return {};
  unsigned port = 0;
  const auto [end, ec] = std::from_chars(value->data(), value->data() + value->size(), port);
  if (ec == std::errc{} && end == value->data() + value->size() && port >= 1 && port <= 65535) return {};
  return fmt::format("AWS_INSTANCE_PORT must be 1 to 65535, got \"{}\"", *value);
}

std::string unfit_weight(const Attributes& attributes) {
  const auto* value = find(attributes, kWeightAttribute);
  if (value == nullptr || parse_weight(*value)) return {};
  return fmt::format("{} must be a whole number from 0 to {}, got \"{}\"", kWeightAttribute, kMaxWeight, *value);
}

std::string unsupported(const Attributes& attributes) {
  if (find(attributes, "AWS_ALIAS_DNS_NAME") != nullptr) {
    return "AWS_ALIAS_DNS_NAME points at an Elastic Load Balancer, which there is none of here; register the servers' "
           "addresses (AWS_INSTANCE_IPV4, AWS_INSTANCE_IPV6)";
  }
  if (find(attributes, "AWS_EC2_INSTANCE_ID") != nullptr) {
    return "AWS_EC2_INSTANCE_ID needs EC2 to look the address up; register it as AWS_INSTANCE_IPV4";
  }
  return {};
}

std::string unfit_health(const ServiceRecord& service, const Attributes& attributes) {
  const auto* initial = find(attributes, "AWS_INIT_HEALTH_STATUS");
  if (initial == nullptr) return {};
  if (*initial != "HEALTHY" && *initial != "UNHEALTHY") {
    return fmt::format("AWS_INIT_HEALTH_STATUS must be HEALTHY or UNHEALTHY, got \"{}\"", *initial);
  }
  if (service.custom_health_failure_threshold) return {};
  return fmt::format(
      "AWS_INIT_HEALTH_STATUS needs a custom health check, and service \"{}\" was made without "
      "HealthCheckCustomConfig",
      service.name);
}

std::string missing(const ServiceRecord& service, const Attributes& attributes) {
  const bool v4 = find(attributes, "AWS_INSTANCE_IPV4") != nullptr;
  const bool v6 = find(attributes, "AWS_INSTANCE_IPV6") != nullptr;
  const bool port = find(attributes, "AWS_INSTANCE_PORT") != nullptr;
  const bool cname = find(attributes, "AWS_INSTANCE_CNAME") != nullptr;
  const auto need = [&](const char* attribute, const char* what) {
    return fmt::format("{} is required and missing: service \"{}\" has {}", attribute, service.name, what);
  };
  for (const auto& spec : service.dns_records) {
    if (spec.type == "A" && !v4) return need("AWS_INSTANCE_IPV4", "A records");
    if (spec.type == "AAAA" && !v6) return need("AWS_INSTANCE_IPV6", "AAAA records");
    if (spec.type == "SRV" && !v4 && !v6) return need("AWS_INSTANCE_IPV4 or AWS_INSTANCE_IPV6", "SRV records");
    if (spec.type == "SRV" && !port) return need("AWS_INSTANCE_PORT", "SRV records");
    if (spec.type == "CNAME" && !cname) return need("AWS_INSTANCE_CNAME", "CNAME records");
  }
  if (!service.service_connect) return {};
  if (!v4 && !v6)
    return need("AWS_INSTANCE_IPV4 or AWS_INSTANCE_IPV6", "Service Connect aliases that dial its instances");
  if (!port) return need("AWS_INSTANCE_PORT", "Service Connect aliases that dial its instances");
  return {};
}

std::string too_many(const Attributes& attributes) {
  std::size_t custom = 0;
  std::size_t characters = 0;
  for (const auto& [key, value] : attributes) {
    if (!key.starts_with("AWS_")) ++custom;
    characters += key.size() + value.size();
  }
  if (custom > kCustomAttributes)
    return fmt::format("Attributes may hold {} custom ones, got {}", kCustomAttributes, custom);
  if (characters > kAttributeCharacters) {
    return fmt::format("Attributes may have {} characters in all, got {}", kAttributeCharacters, characters);
  }
  return {};
}

}  // namespace

std::string unfit_attributes(const Settings& settings, const ServiceRecord& service, const Attributes& attributes) {
  if (auto wrong = too_many(attributes); !wrong.empty()) return wrong;
  if (auto wrong = unsupported(attributes); !wrong.empty()) return wrong;
  if (auto wrong = unfit_address(settings, attributes, "AWS_INSTANCE_IPV4", true); !wrong.empty()) return wrong;
  if (auto wrong = unfit_address(settings, attributes, "AWS_INSTANCE_IPV6", false); !wrong.empty()) return wrong;
  if (auto wrong = unfit_port(attributes); !wrong.empty()) return wrong;
  if (auto wrong = unfit_weight(attributes); !wrong.empty()) return wrong;
  if (const auto* cname = find(attributes, "AWS_INSTANCE_CNAME"); cname != nullptr && !is_dns_name(*cname)) {
    return fmt::format("AWS_INSTANCE_CNAME must be a DNS name, got \"{}\"", *cname);
  }
  if (auto wrong = unfit_health(service, attributes); !wrong.empty()) return wrong;
  return missing(service, attributes);
}

}  // namespace causeway::control::sd
