#include <fmt/core.h>

#include "model/settings_table.h"

namespace causeway {

std::string settings_page() {
  std::string page =
      "# Settings of a service\n\n"
      "What AWS has no words for is set by service: path, limits, retries, timeouts, ejection. This page is made from "
      "the "
      "table in\n`userspace/model/settings_table.cpp`.\n\n"
      "A setting can be given in four places. Of two, the one that stands higher counts, and `causeway explain` shows "
      "which it was.\n\n"
      "| place | how |\n|---|---|\n"
      "| the AWS API, a service attribute `causeway:KEY` | `causeway set NAMESPACE/DISCOVERY-NAME KEY=VALUE …`, or "
      "`aws servicediscovery update-service-attributes --service-id … --attributes causeway:KEY=VALUE` |\n"
      "| the AWS API, Service Connect's `timeout` | `idleTimeoutSeconds` sets idle_timeout and http_idle_timeout, "
      "`perRequestTimeoutSeconds` sets per_request_timeout; 0 is off |\n"
      "| the host's configuration, a table for the service | `[service.\"NAMESPACE/DISCOVERY-NAME\"]` |\n"
      "| the host's configuration, for every service | `[defaults]` |\n\n"
      "`causeway set` takes `KEY=` to remove an attribute, and lists all settings of a service if no KEY is given. In "
      "the configuration\na duration or a part is a string (`idle_timeout = \"90s\"`), a number may stand without "
      "quotes, and on and off may be\n`true` and `false`. A change by the API acts on connections and requests "
      "that begin after it; the\nconfiguration is read when the agent starts.\n\n"
      "`causeway_limit_reached` tells when a limit is reached, `causeway_overflows_total` how often one refused "
      "something, "
      "and by which\n`reason`; [metrics.md](metrics.md) has more. The limits on what clients may use of the proxy are "
      "in "
      "[limits.md](limits.md).\n\n"
      "| setting | default | takes | meaning |\n|---|---|---|---|\n";
  const ServiceSettings defaults;
  for (const Setting& setting : settings_table()) {
    page += fmt::format("| `{}` | {} | {} | {} |\n", setting.name, show_setting(setting, setting.get(defaults)),
                        allowed_values(setting), setting.text);
  }
  return page;
}

}  // namespace causeway
