"""Envoy's configuration: what Causeway does by itself, as closely as Envoy can be told to."""
from endpoint import PORT
from topology import SERVER_ADDRESS

ADMIN_PORT = 15090
PREFIX = "bench"

MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
TCP_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"

RETRIES = {
    "retry_on": "connect-failure,refused-stream,reset,retriable-status-codes",
    "retriable_status_codes": [503],
    "num_retries": 2,
}
# Its default of 1,024 connections would be met by the idle connections; the budget of retries is Causeway's.
LIMITS = {"thresholds": [{"max_connections": 1_000_000, "max_pending_requests": 1_000_000, "max_requests": 1_000_000,
                          "retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": 3}}]}


def _address(address, port):
    return {"socket_address": {"address": address, "port_value": port}}


def _listener(name, port, filter_name, config):
    return {"name": name, "address": _address("127.0.0.1", port), "tcp_backlog_size": 4096,
            "filter_chains": [{"filters": [{"name": filter_name, "typed_config": config}]}]}


def tree(ports):
    """The whole configuration, for a file named *.json."""
    http = {
        "@type": MANAGER,
        "stat_prefix": PREFIX,
        "common_http_protocol_options": {"idle_timeout": "300s"},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER, "suppress_envoy_headers": True}}],
        "route_config": {"name": "all", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": "endpoint", "timeout": "15s", "retry_policy": RETRIES}}]}]},
    }
    tcp = {"@type": TCP_PROXY, "stat_prefix": PREFIX, "cluster": "endpoint", "idle_timeout": "3600s"}
    return {
        "admin": {"address": _address("127.0.0.1", ADMIN_PORT)},
        "static_resources": {
            "listeners": [_listener("http", ports["http"], "envoy.filters.network.http_connection_manager", http),
                          _listener("tcp", ports["tcp"], "envoy.filters.network.tcp_proxy", tcp)],
            "clusters": [{"name": "endpoint", "type": "STATIC", "connect_timeout": "5s", "circuit_breakers": LIMITS,
                          "load_assignment": {"cluster_name": "endpoint", "endpoints": [{"lb_endpoints": [
                              {"endpoint": {"address": _address(SERVER_ADDRESS, PORT)}}]}]}}],
        },
    }
