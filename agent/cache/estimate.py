"""What a whole session will cost, before it begins: the planner's own rules over steps of a usual size."""

from __future__ import annotations

from datetime import UTC, datetime

from treadle.agent.cache.bill import Held, Shape
from treadle.agent.cache.gaps import Gaps
from treadle.agent.cache.plan import Known, plan
from treadle.agent.cache.rules import Row
from treadle.agent.forecast import Forecast
from treadle.agent.messages import Usage
from treadle.agent.providers.catalogue import cost
from treadle.agent.providers.contract import Prices
from treadle.sandbox.frozen import frozen


@frozen
class Course:
    """How a session is expected to go."""

    steps: int = 20
    grows: int = 2_000
    """Tokens that the results of a step add."""
    said: int = 600
    """Tokens of output a step."""
    gap: float = 15.0
    """Seconds between the starts of two requests."""


@frozen
class First:
    """The tokens of a first request."""

    tools: int
    system: int
    messages: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.tools + self.system + self.messages


@frozen
class Estimate:
    """What a session comes to."""

    usage: Usage
    cost: float | None
    """USD; None when the price is not known."""


def estimate(first: First, row: Row, prices: Prices | None, course: Course) -> Estimate:
    """Return what a session comes to that begins with such a request."""
    system = first.tools + first.system
    counts, spoken = [first.tools, system, system + first.messages], [False, False, False]
    held, forecasts, usage = Held(), list[Forecast](), Usage()
    total: float | None = 0.0
    for step in range(course.steps):
        now = step * course.gap
        chains = tuple(map(str, range(len(counts))))
        shape = Shape(chains, tuple(counts), tuple(range(len(counts))), tuple(spoken))
        made = plan(shape, row, Known(held, now, prices, Gaps(), course.said))
        forecasts.append(
            Forecast(at=datetime.fromtimestamp(now, UTC), counted=counts[-1], kept=made.bill.kept)
        )
        held.learn(forecasts)
        usage += made.usage
        each = cost(made.usage, prices)
        total = None if total is None or each is None else total + each
        counts += [counts[-1] + course.said, counts[-1] + course.said + course.grows]
        spoken += [True, False]
    return Estimate(usage, total)
