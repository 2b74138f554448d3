#include "control/records.h"

#include <concepts>
#include <limits>
#include <type_traits>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/core.h>

namespace causeway::control {
namespace {

template <class R, class Record>
concept Is = std::same_as<std::remove_const_t<R>, Record>;

// One list of members a record, walked by the writer and the reader alike.

template <class F, Is<DnsRecordSpec> R>
void members(F& f, R& r) {
  f("Type", r.type);
  f("TTL", r.ttl);
}

template <class F, Is<NamespaceRecord> R>
void members(F& f, R& r) {
  f("Id", r.id);
  f("Arn", r.arn);
  f("Name", r.name);
  f("Dns", r.dns);
  f("Vpc", r.vpc);
  f("Description", r.description);
  f("CreatorRequestId", r.creator_request_id);
  f("SoaTtl", r.soa_ttl);
  f("CreateDate", r.created);
  f("Tags", r.tags);
  f("Number", r.number);
}

template <class F, Is<ServiceRecord> R>
void members(F& f, R& r) {
  f("Id", r.id);
  f("Arn", r.arn);
  f("Name", r.name);
  f("NamespaceId", r.namespace_id);
  f("Description", r.description);
  f("CreatorRequestId", r.creator_request_id);
  f("RoutingPolicy", r.routing_policy);
  f("DnsRecords", r.dns_records);
  f("CustomHealthFailureThreshold", r.custom_health_failure_threshold);
  f("HealthCheckConfig", r.health_check_config);
  f("Attributes", r.attributes);
  f("InstancesRevision", r.instances_revision);
  f("ServiceConnect", r.service_connect);
  f("CreateDate", r.created);
  f("Tags", r.tags);
  f("Number", r.number);
}

template <class F, Is<InstanceRecord> R>
void members(F& f, R& r) {
  f("ServiceId", r.service_id);
  f("Id", r.id);
  f("Attributes", r.attributes);
  f("CreatorRequestId", r.creator_request_id);
  f("CustomHealthy", r.custom_healthy);
  f("TaskId", r.task_id);
  f("Listening", r.listening);
  f("Draining", r.draining);
  f("Number", r.number);
}

template <class F, Is<OperationRecord> R>
void members(F& f, R& r) {
  f("Id", r.id);
  f("Type", r.type);
  f("Status", r.status);
  f("ErrorCode", r.error_code);
  f("ErrorMessage", r.error_message);
  f("Targets", r.targets);
  f("CreateDate", r.created);
  f("UpdateDate", r.updated);
}

template <class F, Is<ClusterRecord> R>
void members(F& f, R& r) {
  f("Name", r.name);
  f("Arn", r.arn);
  f("Status", r.status);
  f("ServiceConnectNamespace", r.service_connect_namespace);
  f("Settings", r.settings);
  f("Tags", r.tags);
}

template <class F, Is<TaskDefinitionRecord> R>
void members(F& f, R& r) {
  f("Arn", r.arn);
  f("Family", r.family);
  f("Revision", r.revision);
  f("Status", r.status);
  f("Document", r.document);
  f("Tags", r.tags);
}

template <class F, Is<EcsServiceRecord> R>
void members(F& f, R& r) {
  f("Name", r.name);
  f("Arn", r.arn);
  f("Cluster", r.cluster);
  f("Status", r.status);
  f("TaskDefinition", r.task_definition);
  f("DesiredCount", r.desired_count);
  f("ServiceRegistries", r.service_registries);
  f("ServiceConnect", r.service_connect);
  f("ServiceConnectNamespace", r.service_connect_namespace);
  f("ServiceConnectResources", r.service_connect_resources);
  f("DeploymentId", r.deployment_id);
  f("CreateDate", r.created);
  f("DeploymentCreateDate", r.deployment_created);
  f("DeleteDate", r.deleted);
  f("Document", r.document);
  f("Number", r.number);
}

template <class F, Is<VipRecord> R>
void members(F& f, R& r) {
  f("NamespaceId", r.namespace_id);
  f("Name", r.name);
  f("Index", r.index);
}

template <class F, Is<TaskRecord> R>
void members(F& f, R& r) {
  f("Id", r.id);
  f("Arn", r.arn);
  f("Cluster", r.cluster);
  f("Service", r.service);
  f("TaskDefinition", r.task_definition);
  f("LastStatus", r.last_status);
  f("DesiredStatus", r.desired_status);
  f("StopCode", r.stop_code);
  f("StoppedReason", r.stopped_reason);
  f("Cgroup", r.cgroup);
  f("CgroupId", r.cgroup_id);
  f("Pid", r.pid);
  f("ExitCode", r.exit_code);
  f("Address", r.address);
  f("Ports", r.ports);
  f("ListeningPorts", r.listening_ports);
  f("StopTimeoutSeconds", r.stop_timeout_seconds);
  f("CreateDate", r.created);
  f("StartDate", r.started);
  f("StoppingDate", r.stopping);
  f("StopDate", r.stopped);
}

template <class T>
concept Number = std::integral<T> && !std::same_as<T, bool>;

/// Fills an object; empty text and containers are left out.
class Writer {
 public:
  json::object object;

  void operator()(const char* name, const std::string& v) {
    if (!v.empty()) object[name] = v;
  }
  void operator()(const char* name, std::same_as<bool> auto v) { object[name] = v; }
  void operator()(const char* name, Number auto v) { object[name] = v; }
  void operator()(const char* name, double v) { object[name] = v; }
  template <class Tag, class T>
  void operator()(const char* name, Strong<Tag, T> v) {
    object[name] = v.value;
  }
  template <class T>
  void operator()(const char* name, const std::optional<T>& v) {
    if (v) object[name] = *v;
  }
  void operator()(const char* name, const std::map<std::string, std::string>& v) {
    if (v.empty()) return;
    auto& out = object[name].emplace_object();
    for (const auto& [key, value] : v) out[key] = value;
  }
  void operator()(const char* name, const json::object& v) {
    if (!v.empty()) object[name] = v;
  }
  void operator()(const char* name, const json::array& v) {
    if (!v.empty()) object[name] = v;
  }
  void operator()(const char* name, const IpAddress& v) { object[name] = v.to_string(); }
  void operator()(const char* name, const std::vector<std::uint16_t>& v) {
    if (!v.empty()) object[name] = json::array(v.begin(), v.end());
  }
  void operator()(const char* name, const std::vector<DnsRecordSpec>& v) {
    if (v.empty()) return;
    auto& out = object[name].emplace_array();
    for (const auto& spec : v) {
      Writer inner;
      members(inner, spec);
      out.push_back(std::move(inner.object));
    }
  }
};

/// Fills a record; an absent member keeps its default, one of another type is an error.
class Reader {
 public:
  explicit Reader(const json::object& object) : object_(object) {}
  std::string wrong;  ///< the first member of a wrong type

  void operator()(const char* name, std::string& out) {
    const auto* v = find(name);
    if (v == nullptr) return;
    if (const auto* text = v->if_string())
      out.assign(text->data(), text->size());
    else
      fail(name, "a string");
  }
  void operator()(const char* name, std::same_as<bool> auto& out) {
    const auto* v = find(name);
    if (v == nullptr) return;
    if (v->is_bool())
      out = v->get_bool();
    else
      fail(name, "true or false");
  }
  template <Number T>
  void operator()(const char* name, T& out) {
    const auto* v = find(name);
    if (v == nullptr) return;
    boost::system::error_code ec;
    const T number = v->to_number<T>(ec);
    if (ec)
      fail(name, "an integer in range");
    else
      out = number;
  }
  void operator()(const char* name, double& out) {
    const auto* v = find(name);
    if (v == nullptr) return;
    boost::system::error_code ec;
    const auto number = v->to_number<double>(ec);
    if (ec)
      fail(name, "a number");
    else
      out = number;
  }
  template <class Tag, class T>
  void operator()(const char* name, Strong<Tag, T>& out) {
    (*this)(name, out.value);
  }
  template <class T>
  void operator()(const char* name, std::optional<T>& out) {
    if (find(name) == nullptr) return;
    (*this)(name, out.emplace());
  }
  void operator()(const char* name, std::map<std::string, std::string>& out) {
    const auto* v = find(name);
    if (v == nullptr) return;
    const auto* map = v->if_object();
    if (map == nullptr) return fail(name, "an object");
    for (const auto& [key, value] : *map) {
      const auto* text = value.if_string();
      if (text == nullptr) return fail(name, "an object of strings");
      out.emplace(std::string(key), std::string(text->data(), text->size()));
    }
  }
  void operator()(const char* name, json::object& out) {
    const auto* v = find(name);
    if (v == nullptr) return;
    if (v->is_object())
      out = v->get_object();
    else
      fail(name, "an object");
  }
  void operator()(const char* name, json::array& out) {
    const auto* v = find(name);
    if (v == nullptr) return;
    if (v->is_array())
      out = v->get_array();
    else
      fail(name, "an array");
  }
  void operator()(const char* name, IpAddress& out) {
    std::string text;
    (*this)(name, text);
    if (text.empty()) return;
    if (const auto ip = IpAddress::parse(text))
      out = *ip;
    else
      fail(name, "an IP address");
  }
  void operator()(const char* name, std::vector<std::uint16_t>& out) {
    json::array values;
    (*this)(name, values);
    for (const auto& value : values) {
      boost::system::error_code ec;
      const auto number = value.to_number<std::uint16_t>(ec);
      if (ec) return fail(name, "an array of ports");
      out.push_back(number);
    }
  }
  void operator()(const char* name, std::vector<DnsRecordSpec>& out) {
    json::array values;
    (*this)(name, values);
    for (const auto& value : values) {
      if (!value.is_object()) return fail(name, "an array of objects");
      Reader inner(value.get_object());
      members(inner, out.emplace_back());
      if (!inner.wrong.empty()) return fail(name, "an array of {Type, TTL}");
    }
  }

 private:
  const json::value* find(const char* name) const { return object_.if_contains(name); }
  void fail(const char* name, const char* expected) {
    if (wrong.empty()) wrong = fmt::format("member {} is not {}", name, expected);
  }

  const json::object& object_;
};

template <class R>
std::string encode_record(const R& record) {
  Writer writer;
  members(writer, record);
  return json::serialize(writer.object);
}

template <class R>
Result<void> decode_record(std::string_view text, R& out, std::string_view kind) {
  boost::system::error_code ec;
  const auto value = json::parse(json::string_view(text.data(), text.size()), ec);
  if (ec) return make_error("decode", kind, ec.message());
  if (!value.is_object()) return make_error("decode", kind, "not a JSON object");
  R fresh;
  Reader reader(value.get_object());
  members(reader, fresh);
  if (!reader.wrong.empty()) return make_error("decode", kind, reader.wrong);
  out = std::move(fresh);
  return {};
}

}  // namespace

std::string key_of(const NamespaceRecord& r) {
  return "/namespaces/" + r.id;
}
std::string key_of(const ServiceRecord& r) {
  return "/services/" + r.id;
}
std::string key_of(const InstanceRecord& r) {
  return "/instances/" + r.service_id + "/" + r.id;
}
std::string key_of(const OperationRecord& r) {
  return "/operations/" + r.id;
}
std::string key_of(const ClusterRecord& r) {
  return "/ecs/clusters/" + r.name;
}
std::string key_of(const TaskDefinitionRecord& r) {
  return fmt::format("/ecs/task-definitions/{}/{:010}", r.family, r.revision);
}
std::string key_of(const EcsServiceRecord& r) {
  return "/ecs/services/" + r.cluster + "/" + r.name;
}
std::string key_of(const VipRecord& r) {
  return "/vips/" + r.namespace_id + "/" + r.name;
}
std::string key_of(const TaskRecord& r) {
  return "/ecs/tasks/" + r.cluster + "/" + r.id;
}

#define CAUSEWAY_RECORD(R, KIND)                       \
  std::string encode(const R& r) {                     \
    return encode_record(r);                           \
  }                                                    \
  Result<void> decode(std::string_view text, R& out) { \
    return decode_record(text, out, KIND);             \
  }
CAUSEWAY_RECORD(NamespaceRecord, "namespace")
CAUSEWAY_RECORD(ServiceRecord, "service")
CAUSEWAY_RECORD(InstanceRecord, "instance")
CAUSEWAY_RECORD(OperationRecord, "operation")
CAUSEWAY_RECORD(ClusterRecord, "cluster")
CAUSEWAY_RECORD(TaskDefinitionRecord, "task definition")
CAUSEWAY_RECORD(EcsServiceRecord, "ECS service")
CAUSEWAY_RECORD(VipRecord, "virtual address")
CAUSEWAY_RECORD(TaskRecord, "task")
#undef CAUSEWAY_RECORD

}  // namespace causeway::control
