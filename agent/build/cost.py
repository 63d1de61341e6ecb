"""What sessions cost and will cost: the cache's rules with the catalogue's prices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache

from treadle.agent.build import open_calls
from treadle.agent.build.model import wire
from treadle.agent.build.models import one_model
from treadle.agent.build.offer import edits_by
from treadle.agent.build.opening import Opening, workspace
from treadle.agent.build.start import facts
from treadle.agent.cache.estimate import Course, Estimate, First, estimate
from treadle.agent.cache.ledger import Known
from treadle.agent.cache.rules import row_of
from treadle.agent.config import Config
from treadle.agent.messages import user
from treadle.agent.providers.contract import (
    ModelInfo,
    ModelRequest,
    NotFound,
    Prices,
    ProviderError,
    Renderings,
)
from treadle.prompts import load
from treadle.sandbox.frozen import frozen

_BYTES = 4
"""Of a token, as long as no bill says better."""


@frozen
class Offer:
    """What jobs come to with one model."""

    model: str
    lane: str
    """How requests travel, and are billed: `live`, one by one as they are asked."""
    first: int
    """Tokens of the first request of the first job."""
    estimate: Estimate


def offers(opening: Opening, models: Sequence[str], jobs: Sequence[str], course: Course) -> Iterator[Offer]:
    """Yield what the jobs come to, each a prompt, with each model. Raises `NotFound` for one that is not known."""
    root = workspace(opening.folder)
    with open_calls(opening) as (calls, _):
        specs = calls.toolbox.snapshot().specs
    told = facts(opening, root, "bwrap")
    for spec in models:
        info = _info(opening.config, spec, datetime.now(UTC))
        row, prices = row_of(info), info.prices
        edits = edits_by(opening.config, info)
        tools = tuple(tool for tool in specs if tool.name not in {"edit", "patch"} or tool.name in edits)
        firsts = [_first(ModelRequest((load("system"),), tools, (*told, user(job))), info) for job in jobs]
        each = [estimate(first, row, prices, course) for first in firsts]
        whole = each[0]
        for one in each[1:]:
            dollars = None if whole.cost is None or one.cost is None else whole.cost + one.cost
            whole = Estimate(whole.usage + one.usage, dollars)
        yield Offer(spec, "live", firsts[0].total, whole)


def _first(request: ModelRequest, info: ModelInfo) -> First:
    call = wire(info.wire).encode(request, info, Renderings(), stream=True)
    sizes = [-(-len(segment) // _BYTES) for segment in call.segments]
    tools, system = call.ends[:2]
    return First(sum(sizes[:tools]), sum(sizes[tools:system]), sum(sizes[system:]))


def prices_of(config: Config) -> Known:
    """Return what knows the price that a model had on a day. None for one that is not listed."""

    @cache
    def known(spec: str, at: datetime) -> Prices | None:
        try:
            return _info(config, spec, at).prices
        except ProviderError:
            return None

    return lambda spec, at: known(spec, at.replace(hour=0, minute=0, second=0, microsecond=0))


def _info(config: Config, spec: str, at: datetime) -> ModelInfo:
    found = one_model(config, spec, None, at)
    if not found:
        raise NotFound(f"no model is named {spec!r}")
    return found[0].info
