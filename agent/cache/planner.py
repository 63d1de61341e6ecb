"""Plans each request of a session from what its branch says was sent before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise

from treadle.agent.cache.bill import Held, Shape
from treadle.agent.cache.gaps import EARLY, Gaps, pings_pay
from treadle.agent.cache.plan import Known, Plan, plan
from treadle.agent.cache.rules import Row, row_of
from treadle.agent.conversation import Conversation
from treadle.agent.forecast import Cause, Forecast
from treadle.agent.messages import AssistantMessage, Message, UserMessage
from treadle.agent.providers.contract import HttpCall, LanguageModel, ModelInfo, ModelRequest
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import Media

_BYTES = 4
"""Of a token, before a bill says better."""
_SAID = 600
"""Tokens of output to expect of the first reply."""
_SLACK = 128
"""Tokens by which a provider may round down what it reads."""


@frozen
class Planned:
    """A request as it is to be sent, and what is expected of it."""

    request: ModelRequest
    forecast: Forecast | None = None
    """None where the request cannot be looked at."""
    plan: Plan | None = None

    @property
    def cost(self) -> float:
        """USD that the request is expected to cost; 0 where that is not known."""
        return (self.plan.cost or 0.0) if self.plan else 0.0


class Planner:
    """Remembers what it counted and hashed, so that each step adds only what is new."""

    def __init__(
        self, *, interactive: bool = False, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._interactive = interactive
        self._now = now
        self._held = Held()
        self._sums = _Sums()
        self._traits: dict[int, tuple[Message, int, bool]] = {}

    def plan(self, request: ModelRequest, model: LanguageModel, conversation: Conversation) -> Planned:
        """Return the request with what its provider is to keep of it. Raises `InvalidRequest`."""
        call = model.encode(request)
        if len(call.ends) != len(request.messages) + 2:
            return Planned(request)
        info, row, at = model.info, row_of(model.info), self._now()
        forecasts = conversation.forecasts
        self._held.learn(forecasts)
        names = _names(request, row, info, images=any(self._trait(each)[1] for each in request.messages))
        before = self._sums.look(call, names)
        shape = self._shape(request.messages, call, _correction(conversation))
        known = Known(
            held=self._held,
            now=at.timestamp(),
            prices=info.prices,
            gaps=Gaps(tuple(sorted(_pauses(forecasts))), self._interactive),
            said=_usual(conversation),
            key=request.caching.key,
        )
        made = plan(shape, row, known)
        forecast = Forecast(
            at=at,
            counted=self._sums.tokens[-1],
            read=made.bill.read,
            write=made.bill.write,
            fresh=made.bill.fresh,
            layers=self._sums.layers(call),
            kept=made.bill.kept,
            epoch=conversation.epoch,
        )
        forecast = self._explained(forecast, conversation, shape, before)
        previous = _previous(request, row, info)
        return Planned(replace(request, caching=replace(made.caching, previous=previous)), forecast, made)

    def next_ping(self, sent: Planned, info: ModelInfo, conversation: Conversation) -> float | None:
        """Return in how many seconds the cache of a request should be kept warm; None when that does not pay.

        The next request is taken to be sure to come, as while a tool runs.
        """
        row = row_of(info)
        self._held.learn(conversation.forecasts)
        if sent.forecast is None or not sent.forecast.kept or not can_warm(sent.request, info):
            return None
        place = sent.forecast.kept[-1]
        last = self._held.used(place.chain)
        life = float(self._held.shortest(place.chain) or place.seconds)
        now = self._now().timestamp()
        used = max(last if last is not None else 0.0, sent.forecast.at.timestamp())
        pays = pings_pay(row, info.prices, Gaps(), life)
        return max(0.0, used + life - EARLY - now) if pays else None

    def _shape(self, messages: Sequence[Message], call: HttpCall, correction: float) -> Shape:
        blocks = [call.ends[0], call.ends[1]]
        for message in messages:
            blocks.append(blocks[-1] + self._trait(message)[0])
        spoken = (isinstance(message, AssistantMessage) for message in messages)
        return Shape(
            chains=tuple(self._sums.chains[end] for end in call.ends),
            counts=tuple(round(self._sums.tokens[end] * correction) for end in call.ends),
            blocks=tuple(blocks),
            spoken=(False, False, *spoken),
        )

    def _trait(self, message: Message) -> tuple[int, bool]:
        """Return how many blocks a message has, and whether a picture is among them."""
        known = self._traits.get(id(message))
        if known is None:
            known = self._traits[id(message)] = (message, *_traits(message))
        return known[1:]

    def _explained(
        self, forecast: Forecast, conversation: Conversation, shape: Shape, before: str
    ) -> Forecast:
        """Say why less is read than was sent before, if that is so."""
        earlier = conversation.forecasts
        if not earlier:
            return forecast.model_copy(update={"cause": "first"})
        last = earlier[-1]
        lost = _sent(conversation) - forecast.read
        if lost <= _SLACK:
            return forecast
        cause = _cause(forecast, last, shape, self._held)
        where = before if cause in {"tools_changed", "system_changed", "messages_changed"} else ""
        return forecast.model_copy(update={"cause": cause, "lost": lost, "where": where})


class _Sums:
    """Tokens and hashes up to each segment of the last request."""

    def __init__(self) -> None:
        self._segments: tuple[bytes, ...] = ()
        self._names: tuple[str, str, str] = ("", "", "")
        self._ends: tuple[int, ...] = ()
        self.tokens: list[int] = [0]
        self.chains: list[str] = [""]

    def look(self, call: HttpCall, names: tuple[str, str, str]) -> str:
        """Take a request. Returns where it strays from the one before; empty where it only goes on."""
        old = self._segments
        same = next(
            (at for at, (one, other) in enumerate(zip(old, call.segments, strict=False)) if one != other),
            min(len(old), len(call.segments)),
        )
        strays = ""
        if same < len(old):
            strays = f"segment {same}, byte {_byte(old[same], call.segments[same : same + 1])}"
        kept = same if (names, call.ends[:2]) == (self._names, self._ends[:2]) else -1
        self._segments, self._names, self._ends = call.segments, names, call.ends
        if kept < 0:
            self.tokens, self.chains, kept = [0], [_short(names[0].encode())], 0
        del self.tokens[kept + 1 :], self.chains[kept + 1 :]
        for number, segment in enumerate(call.segments[kept:], kept):
            self.tokens.append(self.tokens[-1] - -len(segment) // _BYTES)
            self.chains.append(_short(self._begun(number).encode() + segment))
        return strays

    def _begun(self, number: int) -> str:
        """Return what a segment goes on from: at the begin of a layer more must be equal than up to there."""
        pairs = zip(self._ends[:2], self._names[1:], strict=True)
        return " ".join((self.chains[number], *(name for end, name in pairs if end == number)))

    def layers(self, call: HttpCall) -> tuple[str, str, str, str]:
        """Return short hashes of the model, of the tools, of the system prompt and of the settings."""
        tools, system = call.ends[:2]
        return (
            _short(self._names[0].encode())[:8],
            _short(b"".join(call.segments[:tools]))[:8],
            _short(b"".join(call.segments[tools:system]))[:8],
            _short("\n".join(self._names[1:]).encode())[:8],
        )


def _previous(request: ModelRequest, row: Row, info: ModelInfo) -> str | None:
    """Return the id of the last reply, if its provider says why its cache did not hold it; empty before the first."""
    if not row.asks.diagnosis:
        return None
    for message in reversed(request.messages):
        if isinstance(message, AssistantMessage):
            own = (message.origin.vendor, message.origin.model) == (info.vendor, info.id)
            return message.response_id if own else ""
    return ""


def can_warm(request: ModelRequest, info: ModelInfo) -> bool:
    """Say whether a request may be sent with nothing to answer and still be the same to the cache."""
    match row_of(info).asks.warms:
        case "":
            return False
        case "max_tokens":
            thinks = info.dialect.get("thinking", "adaptive") == "enabled" and request.output.effort
            return not thinks and request.output.schema is None and request.tool_choice == "auto"
        case _:
            return info.wire == "openai_responses"


def _byte(old: bytes, new: Sequence[bytes]) -> int:
    other = new[0] if new else b""
    pairs = enumerate(zip(old, other, strict=False))
    return next((at for at, (one, two) in pairs if one != two), min(len(old), len(other)))


def _short(data: bytes) -> str:
    return sha256(data).hexdigest()[:16]


def _traits(message: Message) -> tuple[int, bool]:
    match message:
        case UserMessage(content=content):
            return max(1, len(content)), any(isinstance(part, Media) for part in content)
        case AssistantMessage(parts=parts):
            return len(parts), False
        case _:
            pictured = any(isinstance(part, Media) for result in message.results for part in result.content)
            return len(message.results), pictured


def _names(request: ModelRequest, row: Row, info: ModelInfo, *, images: bool) -> tuple[str, str, str]:
    """Return what must be equal for tools, for the system prompt and for messages to be read."""
    output = request.output
    values = {
        "key": request.caching.key,
        "format": repr((output.schema, output.json_mode)),
        "effort": repr((output.effort, output.reasoning_summary)),
        "verbosity": repr(output.verbosity),
        "tier": repr(request.service_tier),
        "speed": repr(request.service_tier == "fast"),
        "tool_choice": repr(request.tool_choice),
        "parallel": repr(request.parallel),
        "images": repr(images),
    }
    system = " ".join(values[name] for name in row.equal.system)
    return f"{info.vendor}/{info.id}", system, " ".join(values[name] for name in row.equal.messages)


def _correction(conversation: Conversation) -> float:
    """Return how many tokens the last request had for each that was counted."""
    if not conversation.forecasts or not conversation.billed:
        return 1.0
    counted, billed = conversation.forecasts[-1].counted, conversation.billed[-1].input_total
    return billed / counted if counted and billed else 1.0


def _sent(conversation: Conversation) -> int:
    return conversation.billed[-1].input_total or conversation.forecasts[-1].total


def _usual(conversation: Conversation) -> int:
    said = [usage.output for usage in conversation.billed[-20:] if usage.output]
    return sum(said) // len(said) if said else _SAID


def _pauses(forecasts: Sequence[Forecast]) -> Iterator[float]:
    for before, after in pairwise(forecasts):
        yield (after.at - before.at).total_seconds()


def _cause(now: Forecast, before: Forecast, shape: Shape, held: Held) -> Cause:
    """Say what changed, in the order in which a provider looks at it."""
    last = before.kept[-1].chain if before.kept else ""
    tests: tuple[tuple[bool, Cause], ...] = (
        (now.layers[0] != before.layers[0], "model_changed"),
        (now.layers[1] != before.layers[1], "tools_changed"),
        (now.layers[2] != before.layers[2], "system_changed"),
        (now.layers[3] != before.layers[3], "settings_changed"),
        (now.epoch != before.epoch, "room_made"),
        (bool(last) and last not in shape.chains, "messages_changed"),
        (not last or held.lives(last, now.at.timestamp()), "too_short"),
    )
    for holds, cause in tests:
        if holds:
            return cause
    return "expired"
