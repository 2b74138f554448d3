#pragma once
// The hand-over's message, apart from its descriptors.
#include <string>
#include <string_view>
#include <vector>

#include "feed/feed.h"

namespace causeway::feed {

std::string encode_handover(const ProxySettings& settings, const Handover& handover);
/// Takes the descriptors in the order in which they are sent: listeners, counters, heartbeat, access log. An Error where
/// their number or a setting is not what it may be.
Result<std::pair<ProxySettings, Handover>> decode_handover(std::string_view message, std::vector<Fd> fds);

}  // namespace causeway::feed
