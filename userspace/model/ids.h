#pragma once
#include <cstdint>

#include "base/strong.h"

namespace causeway {

/// A namespace's number in the data path. 0 means "every namespace" (a process outside all tasks), kNoNamespace "none".
using NamespaceNumber = Strong<struct NamespaceNumberTag, std::uint32_t>;
/// A service's number: (namespace, discovery name). Given once by the store, never reused. 0 is no service.
using ServiceId = Strong<struct ServiceIdTag, std::uint32_t>;
/// An endpoint's number, unique over all services. Given once by the store, never reused. 0 is no endpoint.
using EndpointId = Strong<struct EndpointIdTag, std::uint32_t>;
/// Who dials: 0 is the host (a process outside all tasks), otherwise the number of the ECS service whose task it is.
using ClientId = Strong<struct ClientIdTag, std::uint32_t>;
/// The store's revision: grows by one a transaction.
using Revision = Strong<struct RevisionTag, std::uint64_t>;

inline constexpr NamespaceNumber kEveryNamespace{0};
inline constexpr NamespaceNumber kNoNamespace{0xffffffffu};
inline constexpr ClientId kHostClient{0};

}  // namespace causeway
