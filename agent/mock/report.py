"""What the mock has seen: requests, and the replies that it made and billed."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass

from treadle.agent.mock.contract import Asked, Reply
from treadle.agent.mock.jsontext import Json, JsonObject

MOST = 10_000
"""Requests and generations that are told one by one; older ones are only counted."""
TOLD = ("input", "cached", "written", "output")


@dataclass(slots=True)
class Generation:
    """A reply that a model was made to give, which is paid for."""

    n: int
    """The request's number."""
    path: str
    key: str
    """What tells conversations apart."""
    step: int
    """Replies before it in the conversation."""
    id: str
    """Without the vendor's prefix."""
    input: int
    cached: int
    written: int
    output: int
    background: bool
    delivered: bool = False
    """It was sent to its end, or is kept for who asks for it."""


class Tally:
    """Counts requests and generations."""

    def __init__(self) -> None:
        self._requests: deque[JsonObject] = deque(maxlen=MOST)
        self._generations: deque[Generation] = deque(maxlen=MOST)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._bytes: Counter[tuple[str, str]] = Counter()
        self._paid: Counter[str] = Counter()
        self._tokens: dict[int, int] = {}

    def request(
        self, number: int, method: str, path: str, shape: str, *, size: int, status: int | None
    ) -> None:
        """Note a request; `shape` is its path with names in braces for what differs."""
        told: JsonObject = {"n": number, "method": method, "path": path, "status": status, "bytes": size}
        self._requests.append({**told, "tokens": self._tokens.pop(number, 0)})
        self._counts[method, shape] += 1
        self._bytes[method, shape] += size

    def generation(self, path: str, asked: Asked, reply: Reply, *, background: bool) -> Generation:
        """Note a reply that is being made."""
        usage = reply.usage
        made = Generation(
            n=int(reply.id, 16),
            path=path,
            key=asked.key,
            step=asked.replies,
            id=reply.id,
            input=usage.input,
            cached=usage.cached,
            written=usage.written,
            output=usage.output,
            background=background,
        )
        self._generations.append(made)
        self._paid.update({
            "generations": 1,
            "input": usage.input,
            "cached": usage.cached,
            "written": usage.written,
            "output": usage.output,
        })
        self._tokens[made.n] = usage.input + usage.output
        return made

    def told(self) -> JsonObject:
        """The report, without what is kept."""
        by_path: JsonObject = {
            f"{method} {shape}": {"count": count, "bytes": self._bytes[method, shape]}
            for (method, shape), count in self._counts.items()
        }
        totals: JsonObject = {
            "requests": sum(self._counts.values()),
            "bytes": sum(self._bytes.values()),
            "generations": self._paid["generations"],
            "delivered": sum(made.delivered for made in self._generations),
            **{name: self._paid[name] for name in TOLD},
        }
        requests: list[Json] = [*self._requests]
        return {
            "requests": requests,
            "by_path": by_path,
            "generations": [asdict(made) for made in self._generations],
            "totals": totals,
        }
