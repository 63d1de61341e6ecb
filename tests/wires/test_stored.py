"""Requests that go on from what a provider has kept: less is sent, and what is cached is the same."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from wires.cases import HELLO, asks, call, calls, result, results
from wires.edges import GPT, STEPS
from wires.rows import WIRES

from treadle.agent.messages import user
from treadle.agent.providers.contract import ModelRequest, Renderings, Stored

ASKED = asks(HELLO, calls(call("c1")), results(result("c1")), user("Go on."))


def encoded(name: str, request: ModelRequest) -> tuple[dict[str, object], tuple[bytes, ...]]:
    row = WIRES[name]
    http = row.wire.encode(request, row.model, Renderings(), stream=True)
    return json.loads(http.body), http.segments


@pytest.mark.parametrize(
    ("name", "stored", "told"),
    [
        (GPT, Stored(id="resp_1", known=2), {"previous_response_id": "resp_1"}),
        (
            GPT,
            Stored("conversation", "conv_1", 2, background=True),
            {"conversation": "conv_1", "background": True},
        ),
        (
            STEPS,
            Stored(id="i1", known=2, background=True),
            {"previous_interaction_id": "i1", "background": True},
        ),
    ],
)
def test_what_the_provider_has_is_not_sent_again_though_the_prefix_is_that_of_all(
    name: str, stored: Stored, told: dict[str, object]
) -> None:
    whole, segments = encoded(name, ASKED)
    less, same = encoded(name, replace(ASKED, stored=stored))
    items = whole.pop("input")
    assert isinstance(items, list)
    assert (less.pop("input"), same) == (items[-2:], segments)
    assert {**less, "store": False} == {**whole, **told}
    assert (whole["store"], less["store"]) == (False, True)


@pytest.mark.parametrize("name", [GPT, STEPS])
def test_the_first_request_of_a_chain_holds_all(name: str) -> None:
    whole, _ = encoded(name, ASKED)
    first, _ = encoded(name, replace(ASKED, stored=Stored()))
    assert first == {**whole, "store": True}
