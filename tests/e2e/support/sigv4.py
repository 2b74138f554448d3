"""AWS Signature Version 4 over JSON 1.1, in as few lines as tests need: a client that they can break on purpose."""
import datetime
import hashlib
import hmac
import http.client
import json

TARGETS = {"servicediscovery": "Route53AutoNaming_v20170314", "ecs": "AmazonEC2ContainerServiceV20141113"}


class ApiError(Exception):
    def __init__(self, status, body):
        self.status = status
        self.body = body
        self.type = body.get("__type", "").split("#")[-1] if isinstance(body, dict) else ""
        self.text = (body.get("message") or body.get("Message") or "") if isinstance(body, dict) else str(body)
        super().__init__(f"{status} {self.type}: {self.text}")


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signed_headers(service, operation, body, *, key, secret, region, host, when=None):
    when = when or datetime.datetime.now(datetime.timezone.utc)
    stamp, date = when.strftime("%Y%m%dT%H%M%SZ"), when.strftime("%Y%m%d")
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": host,
        "x-amz-date": stamp,
        "x-amz-target": f"{TARGETS[service]}.{operation}",
    }
    names = ";".join(sorted(headers))
    canonical = "\n".join(["POST", "/", ""] + [f"{n}:{headers[n]}" for n in sorted(headers)] +
                          ["", names, hashlib.sha256(body).hexdigest()])
    scope = f"{date}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signing_key = _hmac(_hmac(_hmac(_hmac(b"AWS4" + secret.encode(), date), region), service), "aws4_request")
    signature = hmac.new(signing_key, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return headers


def post(address, headers, body, timeout=15):
    """Status and decoded answer of one request. `address` is (host, port)."""
    connection = http.client.HTTPConnection(*address, timeout=timeout)
    try:
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    try:
        return response.status, json.loads(text or b"{}")
    except ValueError:
        return response.status, text.decode(errors="replace")


def call(address, service, operation, parameters, **credentials):
    body = json.dumps(parameters).encode()
    headers = signed_headers(service, operation, body, host=f"{address[0]}:{address[1]}", **credentials)
    status, answer = post(address, headers, body)
    if status != 200:
        raise ApiError(status, answer)
    return answer
