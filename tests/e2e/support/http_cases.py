"""The cases of tests/http_cases/*.txt; requests.txt describes the form."""
import dataclasses
import pathlib
import re

DIRECTORY = pathlib.Path(__file__).resolve().parents[2] / "http_cases"

# What stands in the cases for the random x-request-id: as long as one, and never one.
REQUEST_ID = b"x" * 36
ADDED_ID = b"x-request-id: " + REQUEST_ID + b"\r\n"
ADDED_PROTO = b"x-forwarded-proto: http\r\n"

_BYTES = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\", "i": ADDED_ID, "p": ADDED_PROTO, "+": ADDED_ID + ADDED_PROTO}
_ESCAPE = re.compile(r"\\(?:\{(\d+)\*([^}]*)\}|x([0-9a-f]{2})|(.))|([ -~])")
_UUID4 = re.compile(rb"x-request-id: ([0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\r\n")


@dataclasses.dataclass
class Verdict:
    word: str
    reason: str = ""
    body: int = 0  # bytes, as they are sent
    out: bytes | None = None


@dataclasses.dataclass
class Case:
    name: str
    to: bytes = b""
    sent: bytes = b""
    verdicts: list[Verdict] = dataclasses.field(default_factory=list)


def unescape(text):
    parts, at = [], 0
    while at < len(text):
        match = _ESCAPE.match(text, at)
        if not match:
            raise ValueError(f"an unknown escape: {text[at:]}")
        times, repeated, code, letter, plain = match.groups()
        if times:
            parts.append(int(times) * unescape(repeated))
        elif code:
            parts.append(bytes.fromhex(code))
        else:
            parts.append(_BYTES[letter] if letter else plain.encode())
        at = match.end()
    return b"".join(parts)


def parse_verdict(text):
    word, _, rest = text.partition(" ")
    if word == "pass":
        return Verdict(word, body=int(rest.split()[-1]) if rest else 0)
    return Verdict(word, rest)


def load(name):
    cases = []
    for line in (DIRECTORY / name).read_text(encoding="ascii").splitlines():
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word == "case":
            cases.append(Case(rest))
        elif word == "to":
            cases[-1].to += unescape(rest)
        elif word == "in":
            cases[-1].sent += unescape(rest)
        elif word == "verdict":
            cases[-1].verdicts.append(parse_verdict(rest))
        elif word == "out":
            cases[-1].verdicts[-1].out = (cases[-1].verdicts[-1].out or b"") + unescape(rest)
        else:
            raise ValueError(f"an unknown word: {line}")
    return cases


def forwarded(case):
    """What the endpoint gets of each request that passes."""
    requests, rest = [], case.sent
    for verdict in case.verdicts:
        if verdict.word == "pass":
            end = rest.index(b"\r\n\r\n", 2) + 4  # an empty line may stand before the request
            came, rest = rest[:end - 2] + ADDED_ID + ADDED_PROTO + rest[end - 2:end + verdict.body], rest[end + verdict.body:]
            requests.append(came if verdict.out is None else verdict.out)
    return requests


def without_request_id(request):
    """The proxy's own x-request-id, a version 4 UUID, becomes the one of the cases."""
    return _UUID4.sub(ADDED_ID, request)
