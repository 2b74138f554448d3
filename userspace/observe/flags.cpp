#include "observe/flags.h"

#include <array>

namespace causeway::observe {
namespace {

constexpr std::array<FlagText, static_cast<std::size_t>(Flag::count)> kFlags{{
    {"UH", "The service has no endpoint that takes connections."},
    {"UF", "No connection to an endpoint: refused, unreachable, or not in time."},
    {"UO", "A limit on connections, requests or retries, or a resource of this host, was used up."},
    {"URX", "All tries that are allowed had failed."},
    {"UT", "The endpoint's response was not complete in time."},
    {"UC", "The endpoint ended the connection before its response was complete."},
    {"UPE", "The endpoint's response was malformed."},
    {"LR", "The proxy ended it: its own drain time, or that of an endpoint that left, was over."},
    {"DC", "The client ended the connection first."},
    {"DPE", "The client's request was malformed, or too large."},
    {"SI", "Nothing came for too long: the request's head or body, the endpoint's answer (`http_idle_timeout`), or anything "
           "at all on a relayed connection; or the client took nothing."},
    {"OM", "The proxy was overloaded and refused it."},
}};

}  // namespace

std::span<const FlagText> flags_table() {
  return kFlags;
}

std::string_view name_of(Flag flag) {
  return kFlags[static_cast<std::size_t>(flag)].name;
}

}  // namespace causeway::observe
