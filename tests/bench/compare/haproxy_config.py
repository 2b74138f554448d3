"""HAProxy's configuration: what Causeway does by itself, as closely as HAProxy can be told to."""
from endpoint import PORT, descriptors
from topology import SERVER_ADDRESS

# Retries on HTTP: 2, on a failed connect, on a connection that ends without an answer, and on 503. The server's pool is shared
# by all clients ("always"): by default each new client connection's first request gets a server connection of its own.
# Splicing: "splice-auto" was seen to splice nothing here (2.6.12, strace), so the peer that splices is told to.
CONFIG = """
global
  nbthread {workers}
  maxconn {maxconn}
  maxpipes {maxpipes}
  stats socket {socket} mode 600

defaults
  timeout connect 5s
  retries 2
  option redispatch
  {splice}

frontend http
  mode http
  bind 127.0.0.1:{http} backlog 4096
  timeout client 5m
  timeout http-keep-alive 5m
  timeout http-request 15s
  default_backend http
backend http
  mode http
  retry-on conn-failure empty-response 503
  timeout server 15s
  http-reuse always
  server endpoint {address}:{port}

frontend tcp
  mode tcp
  bind 127.0.0.1:{tcp} backlog 4096
  timeout client 1h
  default_backend tcp
backend tcp
  mode tcp
  timeout server 1h
  server endpoint {address}:{port}
"""


MAX_PIPES = 1024  # two for each of the 256 connections, and as many again


def maxconn():
    """A relayed connection takes two descriptors, a pipe for splicing as well; HAProxy starts only if all of them may be used."""
    return descriptors() // 2 - MAX_PIPES - 200


def text(*, workers, socket, splice, ports):
    return CONFIG.format(workers=workers, maxconn=maxconn(), maxpipes=MAX_PIPES, socket=socket, splice="option splice-response" if splice else "",
                         address=SERVER_ADDRESS, port=PORT, **ports)
