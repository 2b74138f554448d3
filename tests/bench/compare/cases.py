"""What is compared: protocol, connections, how long they live, and the size of an answer."""
import dataclasses
import itertools
import re

PROTOCOLS = ("http", "tcp")
CONNECTIONS = (1, 32, 256)
SIZES = {"200B": 200, "1MiB": 1 << 20}


@dataclasses.dataclass(frozen=True)
class Case:
    protocol: str  # how the proxy takes it; the load generator speaks HTTP/1.1 in either
    connections: int
    kept: bool  # otherwise every request has a connection of its own
    size_name: str

    @property
    def name(self):
        return f"{self.protocol}-{self.connections}-{'keep' if self.kept else 'close'}-{self.size_name}"

    @property
    def size(self):
        return SIZES[self.size_name]

    @property
    def path(self):
        return f"/{self.size_name}"

    def describe(self):
        way = "HTTP/1.1" if self.protocol == "http" else "relayed as TCP"
        lives = "kept" if self.kept else "each for one request"
        many = "1 connection" if self.connections == 1 else f"{self.connections} connections"
        return f"{way}, {many} {lives}, answers of {self.size_name.replace('B', ' B').replace('Mi ', ' Mi')}"


ALL = [Case(*parts) for parts in itertools.product(PROTOCOLS, CONNECTIONS, (True, False), SIZES)]


def select(texts):
    """The cases that one of these names or regular expressions matches whole; all of them for none. ValueError says what is wrong."""
    if not texts:
        return list(ALL)
    chosen = set()
    for text in texts:
        try:
            found = [case for case in ALL if re.fullmatch(text, case.name)]
        except re.error as error:
            raise ValueError(f'"{text}" is no regular expression: {error}') from None
        if not found:
            raise ValueError(f'no case is called "{text}"; there are: {" ".join(case.name for case in ALL)}')
        chosen.update(found)
    return [case for case in ALL if case in chosen]
