#pragma once
#include "base/fd.h"
#include "net/task.h"
#include "proxy/context.h"

namespace causeway::proxy {

/// How long a client of a service without appProtocol may be silent before the upstream is dialled, for protocols in
/// which the server speaks first. An HTTP client that speaks later than this is still recognised, unless the server
/// spoke before it.
inline constexpr std::chrono::milliseconds kDetectSilence{50};
/// How long the first bytes may stay undecided (a request line in pieces) before they are relayed as TCP.
inline constexpr std::chrono::milliseconds kDetectTime{3000};

/// One client's connection from its acceptance to its end. Never throws.
net::Task<> serve(Context& context, Fd socket);

/// Ends a connection that there is no descriptor for, and counts it.
void turn_away(Context& context, Fd socket);

}  // namespace causeway::proxy
