"""How much vendors take: one table, which everything that sends something asks first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache

from pydantic import Field

from treadle.agent.providers.contract import ModelInfo, WireName
from treadle.agent.providers.limits.kinds import MEANINGS, Row, Status, What
from treadle.agent.providers.limits.rows import ROWS
from treadle.tools.contract import Frozen

__all__ = [
    "MEANINGS",
    "ROWS",
    "LimitSettings",
    "Row",
    "Status",
    "What",
    "limit",
    "limit_of",
    "native_side",
    "rows_of",
    "warning_of",
]


class _OfRequests(Frozen):
    """What one request may hold."""

    request_bytes: int | None = Field(default=None, ge=1)
    count_bytes: int | None = Field(default=None, ge=1)
    document_bytes: int | None = Field(default=None, ge=1)
    document_pages: int | None = Field(default=None, ge=0)
    tools: int | None = Field(default=None, ge=0)
    messages: int | None = Field(default=None, ge=1)


class _OfImages(Frozen):
    """What the images of one request may be."""

    image_bytes: int | None = Field(default=None, ge=1)
    image_side: int | None = Field(default=None, ge=1)
    image_side_many: int | None = Field(default=None, ge=1)
    images_many: int | None = Field(default=None, ge=0)
    images: int | None = Field(default=None, ge=0)
    image_total_bytes: int | None = Field(default=None, ge=1)
    image_native_side: int | None = Field(default=None, ge=1)


class _OfStores(Frozen):
    """What files and batches may be."""

    file_bytes: int | None = Field(default=None, ge=1)
    file_tokens: int | None = Field(default=None, ge=1)
    file_hours: int | None = Field(default=None, ge=1)
    batch_bytes: int | None = Field(default=None, ge=1)
    batch_requests: int | None = Field(default=None, ge=1)
    batch_inline_bytes: int | None = Field(default=None, ge=1)
    batch_hours: int | None = Field(default=None, ge=1)
    batches: int | None = Field(default=None, ge=1)


class LimitSettings(_OfRequests, _OfImages, _OfStores):
    """What a user says of how much a vendor or a model takes. None leaves the published figure."""

    @property
    def given(self) -> dict[str, int]:
        """What was said, by name."""
        return self.model_dump(exclude_none=True)


def limit(
    vendor: str,
    wire: WireName,
    what: What,
    *,
    model: str = "",
    window: int | None = None,
    own: Mapping[str, int] | None = None,
) -> int | None:
    """Return how much a vendor takes at most, in the unit that `MEANINGS` has; None where nothing is known.

    Args:
        vendor: Name of the vendor.
        wire: Over which it is spoken to.
        what: What is limited.
        model: Id at the vendor; "" where none is meant.
        window: Of the model, in tokens. Where it is not known the smaller figure holds.
        own: What the user says: it goes before the table.
    """
    if own and what in own:
        return own[what]
    return _looked_up("enforced", what, vendor, wire, model, window=window)


def limit_of(info: ModelInfo, what: What) -> int | None:
    """Return how much of something a model takes; None where nothing is known."""
    return limit(info.vendor, info.wire, what, model=info.id, window=info.context_window, own=info.limits)


def warning_of(info: ModelInfo, what: What) -> int | None:
    """Return the stricter figure of another source, above which the user is warned; None where there is none."""
    if what in info.limits:
        return None
    return _looked_up("warned", what, info.vendor, info.wire, info.id, window=info.context_window)


def native_side(info: ModelInfo) -> int:
    """Return the longer side, in pixels, above which more detail is of no use to a model."""
    own = info.limits.get("image_native_side")
    table = _looked_up("not applicable", "image_native_side", info.vendor, info.wire, info.id, window=None)
    return own or table or _NATIVE


_NATIVE = 1568
"""Of a vendor that says nothing: the smallest of those that do."""


@lru_cache(maxsize=4096)
def _looked_up(
    status: Status, what: What, vendor: str, wire: WireName, model: str, *, window: int | None
) -> int | None:
    return next(
        (
            row.value
            for row in rows_of(vendor, wire, model, window)
            if (row.what, row.status) == (what, status)
        ),
        None,
    )


def rows_of(vendor: str, wire: WireName, model: str, window: int | None) -> Iterator[Row]:
    """Yield the rows that hold for a model, the first of each kind being the one that counts."""
    for row in ROWS:
        fits = (
            fnmatchcase(vendor, row.vendor)
            and fnmatchcase(wire, row.wire)
            and fnmatchcase(model.lower(), row.model)
        )
        if fits and (row.window_to is None or window is None or window <= row.window_to):
            yield row
