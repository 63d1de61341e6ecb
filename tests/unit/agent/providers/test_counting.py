from __future__ import annotations

import json

import pytest
from unit.agent.providers.limits.picturing import claims, document, image, pdf, shows

from fakes import INFO, says
from treadle.agent.messages import Message, ToolMessage, Usage, user
from treadle.agent.providers.contract import HttpCall, ModelInfo, ModelRequest, Renderings, Wire
from treadle.agent.providers.counting import Estimate, count_call, counted, estimate, text_tokens, tokens_of
from treadle.agent.providers.limits.sizes import Shown, Sizes, Tally
from treadle.agent.providers.wires.anthropic import Anthropic
from treadle.agent.providers.wires.gemini import Gemini
from treadle.agent.providers.wires.openai_chat import OpenAIChat
from treadle.agent.providers.wires.openai_responses import OpenAIResponses
from treadle.tools.contract import Json, Resource, Text, ToolResult, Url


def counting(vendor: str, wire: Wire, **dialect: object) -> HttpCall | None:
    info = ModelInfo(id="m-1", wire=wire.name, vendor=vendor, endpoint="e", dialect=dialect)
    request = ModelRequest(system=("Be brief.",), tools=(), messages=(user("Hi"),))
    return count_call(wire.encode(request, info, Renderings(), stream=True), info)


@pytest.mark.parametrize(
    ("vendor", "wire", "path", "without"),
    [
        ("openai", OpenAIResponses(), "/responses/input_tokens", {"stream", "store", "include"}),
        ("anthropic", Anthropic(), "/messages/count_tokens", {"stream", "max_tokens"}),
        ("mock", Anthropic(), "/messages/count_tokens", {"stream", "max_tokens"}),
    ],
)
def test_a_vendor_is_asked_with_the_same_body_but_for_what_generates(
    vendor: str, wire: Wire, path: str, without: set[str]
) -> None:
    call = counting(vendor, wire)
    assert call is not None
    assert (call.path, call.stream) == (path, False)
    body = json.loads(call.body)
    assert body["model"] == "m-1"
    assert not without & set(body)


def test_gemini_counts_a_whole_request_and_vertex_its_fields() -> None:
    call = counting("gemini", Gemini())
    assert call is not None
    assert (call.path, dict(call.query)) == ("/models/m-1:countTokens", {})
    assert json.loads(call.body)["generateContentRequest"]["model"] == "models/m-1"
    call = counting("vertex", Gemini())
    assert call is not None
    assert "contents" in json.loads(call.body)


def test_claude_on_vertex_is_counted_at_a_path_of_its_own() -> None:
    paths = ("/models/{model}:rawPredict", "/models/{model}:streamRawPredict")
    call = counting("vertex", Anthropic(), paths=paths, version_in_body="vertex-1")
    assert call is not None
    assert call.path == "/models/count-tokens:rawPredict"
    assert json.loads(call.body)["model"] == "m-1"


def test_where_nobody_counts_nobody_is_asked() -> None:
    assert counting("openai", OpenAIChat()) is None
    assert counting("own", Anthropic()) is None


def test_both_shapes_of_an_answer_are_read() -> None:
    assert (counted({"input_tokens": 5}), counted({"totalTokens": 6}), counted({"error": {}})) == (5, 6, None)


def test_what_is_only_guessed_may_come_to_more() -> None:
    assert (Estimate(100, 85).tokens, Estimate(100, 85).most) == (185, 200)


def guess(*messages: Message, fixed: int = 0, since: int = 0, known: tuple[int, int] = (0, 0)) -> Estimate:
    return estimate(INFO, messages, Tally().of(messages), fixed, since=since, known=known)


def billed(tokens: int, output: int = 10) -> Message:
    return says("x", usage=Usage(input=tokens, output=output))


def test_what_was_billed_is_taken_as_it_is_and_corrects_what_came_since() -> None:
    long = user("word " * 2000)
    before = guess(long).guessed
    assert guess(long, billed(before)).counted == before + 10
    assert guess(long, billed(2 * before), long).guessed == pytest.approx(2 * before, abs=2)
    assert guess(long, billed(9 * before), long).guessed == pytest.approx(2 * before, abs=2)
    assert guess(long, billed(before // 5), long).counted == 0  # what a cache held was left out


def test_a_bill_for_what_is_no_longer_sent_counts_for_nothing() -> None:
    assert guess(user("Hi"), billed(1_000_000), since=2).counted == 0


def test_what_a_vendor_counted_holds_until_a_newer_bill() -> None:
    short = user("Hi")
    found = guess(short, short, known=(1, 5000))
    assert (found.counted, found.guessed < 100) == (5000, True)
    assert guess(short, billed(700), short, known=(1, 5000)).counted == 710
    assert guess(billed(700), short, known=(2, 5000)).counted == 5000


def shown(message: Message) -> Shown:
    sizes = Sizes()
    sizes.add(message)
    return sizes.media[0]


def test_pictures_and_documents_are_tokens_too() -> None:
    claude = ModelInfo(id="claude-1", wire="anthropic", vendor="anthropic", endpoint="e")
    assert tokens_of(claude, shown(shows(image(claims(750, 1000))))) == 1004
    assert tokens_of(claude, shown(shows(image(claims(9000, 9000))))) == 1604
    assert tokens_of(INFO, shown(shows(image(claims(512, 513))))) == 85 + 2 * 170
    assert tokens_of(INFO, shown(shows(image(b"no picture")))) == 1600
    assert tokens_of(INFO, shown(shows(document(pdf(3))))) == 6000
    assert tokens_of(INFO, shown(shows(document(b"x" * 3500)))) == 1000
    assert text_tokens(INFO, 3500) == 1000


def test_a_conversation_is_added_up_once_and_anew_when_it_changes() -> None:
    tally = Tally()
    results = ToolMessage(
        results=(
            ToolResult(call_id="1", content=(Json(value={"a": 1}), Resource(uri="a:b", text="text"))),
            ToolResult(call_id="2", content=(Text(text='say "so"\n'),)),
        )
    )
    there = image(claims(1, 1)).model_copy(update={"source": Url(url="http://a/b.png")})
    first = (user("é"), results, shows(there))
    sizes = tally.of(first)
    assert (sizes.sent, sizes.images, sizes.encoded) == (4, 1, 0)
    before = sizes.text
    assert tally.of((*first, user("more"))) is sizes
    assert sizes.text > before
    assert tally.of(first).text == before
    assert tally.of((user("é"), *first[1:])) is not sizes
