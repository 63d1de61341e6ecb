"""Each field of `Sampling` at every vendor and over every wire: under its key, or dropped with a warning; 0 is a value."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import pytest
from wires.rows import WIRES
from wires.sampling_rows import AT_ZERO, BESIDE, BY_VENDOR, BY_WIRE, VALUES
from wires.vendor_rows import VENDORS

from treadle.agent.build import language_model
from treadle.agent.config import Config
from treadle.agent.messages import Warned, user
from treadle.agent.providers.contract import HttpCall, ModelInfo, ModelRequest, Output, Renderings, WireName
from treadle.agent.settings import Sampling

Encode = Callable[[ModelRequest], HttpCall]
PLACES = (*BY_VENDOR, *BY_WIRE)
EACH = pytest.mark.parametrize(("place", "key"), [(place, key) for place in PLACES for key in VALUES])


def reached(place: str) -> tuple[ModelInfo, Encode]:
    """A model there, and what makes its requests."""
    if place in BY_WIRE:
        row = WIRES[place]
        return row.model, lambda request: row.wire.encode(request, row.model, Renderings(), stream=True)
    client = language_model(VENDORS[place].model, Config(), VENDORS[place].env)
    return client.info, client.encode


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of a body by their paths; lists are values."""
    if isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield from flat(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def sent(encode: Encode, sampling: Sampling) -> tuple[dict[str, Any], set[Warned]]:
    # A model that reasons takes most of these only while it does not.
    request = ModelRequest(
        system=(), tools=(), messages=(user("Hi."),), sampling=sampling, output=Output(effort="none")
    )
    call = encode(request)
    return dict(flat(json.loads(call.body))), set(call.warnings)


def told(place: str, key: str, value: Any) -> tuple[dict[str, Any], set[Warned], Mapping[str, Any]]:
    """What a field adds to a body and to the warnings, and the body without it."""
    _, encode = reached(place)
    plain, known = sent(encode, Sampling())
    body, warnings = sent(encode, Sampling.model_validate({key: value}))
    assert plain.keys() <= body.keys()
    return {path: held for path, held in body.items() if plain.get(path) != held}, warnings - known, plain


def check(place: str, key: str, value: Any, instead: Mapping[str, Any] | None) -> None:
    model, _ = reached(place)
    added, warnings, plain = told(place, key, value)
    path = {**BY_VENDOR, **BY_WIRE}[place].get(key)
    if path is None:
        (warning,) = warnings
        assert added == {}
        assert (warning.code, warning.field) == ("sampling_dropped", f"sampling.{key}")
        assert model.id in warning.detail
        assert key in warning.detail
    else:
        held = [*plain.get(path, ()), *value] if key == "stop" else value
        wire: WireName = model.wire
        assert added == (instead or {path: held, **BESIDE.get((wire, key), {})})
        assert warnings == set()


@EACH
def test_a_value_stands_under_the_vendors_key_or_is_dropped_with_a_warning(place: str, key: str) -> None:
    check(place, key, VALUES[key], None)


@pytest.mark.parametrize(
    ("place", "key"), [(place, key) for place in PLACES for key in VALUES if key != "stop"]
)
def test_zero_is_a_value(place: str, key: str) -> None:
    check(place, key, 0, AT_ZERO.get((place, key)))


def test_every_vendor_and_every_wire_is_in_the_table() -> None:
    assert VALUES.keys() == Sampling.model_fields.keys()
    assert BY_VENDOR.keys() == VENDORS.keys()
    assert {WIRES[place].model.wire for place in BY_WIRE} == {row.model.wire for row in WIRES.values()}
