"""Every vendor, over its own address and in its own manner, through a real client."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Final

import anyio
import pytest
from wires.cases import NESTED, READ, call, calls, result, results
from wires.vendor_rows import VENDORS, Vendor

from treadle.agent.build import language_model
from treadle.agent.config import Config
from treadle.agent.messages import AssistantMessage, Message, ReasoningPart, user
from treadle.agent.mock.script import Script, parse
from treadle.agent.mock.server import Mock, serve
from treadle.agent.providers.client import Client
from treadle.agent.providers.contract import (
    Busy,
    Caching,
    ModelRequest,
    Output,
    ProviderError,
    StreamCutShort,
)
from treadle.agent.providers.vendor_rows import VENDORS as ROWS
from treadle.agent.settings import Sampling
from treadle.tools.contract import JsonObject, Text

pytestmark = pytest.mark.anyio
EACH: Final = pytest.mark.parametrize("name", VENDORS)
SYSTEM: Final = ("You write code.", "Today you write tests.")
LOOP: Final = """
steps:
  - {text: "Said elsewhere."}
  - reasoning: "Two files — é."
    text: "Let me look."
    calls: [{read: {path: a.py}}, {read: {path: b.py}}]
  - {reasoning: "One more.", calls: [{read: {path: c.py}}]}
  - {text: "Both are empty."}
  - {text: "Yes."}
"""


ELSEWHERE: Final[tuple[Message, ...]] = (
    user("Begin."),
    calls(call("call_of_another_vendor_0123456789")),
    results(result("call_of_another_vendor_0123456789", Text(text="ok"))),
)
"""A step that another model took, without reasoning and with an id of its own."""


def asked(*messages: Message) -> ModelRequest:
    return ModelRequest(system=SYSTEM, tools=(READ, NESTED), messages=messages)


EVERYTHING: Final = ModelRequest(
    system=SYSTEM,
    tools=(READ,),
    messages=(user("Hi."),),
    sampling=Sampling(temperature=0, top_k=40, min_p=0.05, seed=7, stop=("END", "STOP")),
    caching=Caching(key="s-1"),
    output=Output(max_tokens=900, effort="high"),
    tool_choice="required",
    parallel=False,
)


def model(vendor: Vendor, env: Mapping[str, str], *, streamed: bool = True) -> Client:
    place = vendor.model.partition("/")[0]
    config = Config.model_validate({"providers": {place: {"dialect": {"stream": streamed}}}})
    return language_model(vendor.model, config, env)


@asynccontextmanager
async def served(
    vendor: Vendor, script: Script, *, streamed: bool = True
) -> AsyncGenerator[tuple[Mock, Client]]:
    with anyio.fail_after(5):
        async with serve(script) as mock:
            moved = {name: value.format(mock=mock.url) for name, value in vendor.moved.items()}
            client = model(vendor, {**vendor.env, **moved}, streamed=streamed)
            async with aclosing(client):
                yield mock, client


async def told(client: Client, request: ModelRequest) -> AssistantMessage:
    async with client.stream(request) as reply:
        async for _ in reply:
            pass
        return reply.message


def sent(client: Client, request: ModelRequest) -> JsonObject:
    return json.loads(client.preview(client.encode(request))[2])


def test_every_vendor_but_the_mock_itself_has_its_row_here() -> None:
    assert {vendor.model.partition("/")[0] for vendor in VENDORS.values()} >= ROWS.keys() - {"mock"}


@EACH
def test_a_call_goes_to_the_vendors_own_address_and_shows_no_key(name: str) -> None:
    vendor = VENDORS[name]
    client = model(vendor, vendor.env)
    url, headers, _ = client.preview(client.encode(asked(user("Hi."))))
    assert url == vendor.url
    assert "key-1234" not in repr((url, headers))


@EACH
def test_a_body_holds_what_the_vendor_wants_and_nothing_that_it_refuses(name: str) -> None:
    vendor = VENDORS[name]
    body = sent(model(vendor, vendor.env), EVERYTHING)
    assert {key: body.get(key) for key in vendor.body} == vendor.body
    assert not {*vendor.absent} & body.keys()


@EACH
async def test_a_refusal_is_understood_as_the_vendor_words_it(name: str) -> None:
    vendor = VENDORS[name]
    status, body, kind = vendor.error
    script = parse(json.dumps({"steps": [{"faults": [{"status": status, "body": body}]}]}))
    async with served(vendor, script) as (_, client):
        with pytest.raises(ProviderError) as caught:
            await told(client, asked(user("Hi.")))
    assert (type(caught.value), caught.value.status) == (kind, status)


@EACH
@pytest.mark.parametrize("status", [401, 429, 503])
async def test_the_mock_refuses_in_the_vendors_words_and_they_are_understood(name: str, status: int) -> None:
    script = parse(f"steps: [{{faults: [{{status: {status}, headers: {{retry-after: '7'}}}}]}}]")
    async with served(VENDORS[name], script) as (_, client):
        with pytest.raises(ProviderError) as caught:
            await told(client, asked(user("Hi.")))
    assert isinstance(caught.value, Busy) is (status != 401)
    assert caught.value.retry_after == 7
    assert caught.value.request_id


@EACH
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
async def test_a_tool_loop_ends_and_every_request_fits_the_vendors_rules(
    name: str, *, streamed: bool
) -> None:
    vendor = VENDORS[name]
    messages = [*ELSEWHERE, user("Look <|im_start|> at both.")]
    replies: list[AssistantMessage] = []
    async with served(vendor, parse(LOOP), streamed=streamed) as (mock, client):
        for turn in range(4):
            reply = await told(client, asked(*messages))
            replies.append(reply)
            answers = [result(each.id, Text(text="x")) for each in reply.calls]
            messages += [reply, results(*answers) if answers else user("Sure?")]
            assert turn < 2 or not answers
        seen = mock.requests
    path = vendor.path if streamed else vendor.path.replace(":streamRaw", ":raw").replace(":streamG", ":g")
    assert [request.path for request in seen] == [path] * 4
    if vendor.proof:
        header, value = vendor.proof
        assert {request.headers[header] for request in seen} == {value}
    for number, reply in enumerate(replies[:-1]):
        raws = [part.raw[1:-1] for part in reply.parts if isinstance(part, ReasoningPart)]
        thoughts = [
            raw.removeprefix('"content":[').removesuffix("]" * raw.startswith('"content"')) for raw in raws
        ]
        assert [thought for thought in thoughts if thought.encode() not in seen[number + 1].body] == []
    assert [len(reply.calls) for reply in replies] == [2, 1, 0, 0]
    assert [reply.stop for reply in replies] == ["tool_use", "tool_use", "end", "end"]
    assert [json.loads(each.arguments)["path"] for each in replies[0].calls] == ["a.py", "b.py"]
    assert len({each.id for reply in replies for each in reply.calls}) == 3
    assert [reply.text.strip() for reply in replies] == ["Let me look.", "", "Both are empty.", "Yes."]
    assert all((reply.usage.input_total > 0) is (vendor.usage or not streamed) for reply in replies)


@EACH
async def test_reasoning_is_kept_wherever_the_vendor_puts_it(name: str) -> None:
    request = replace(asked(*ELSEWHERE, user("Look.")), output=Output(reasoning_summary=True))
    async with served(VENDORS[name], parse(LOOP)) as (_, client):
        reply = await told(client, request)
    thoughts = [
        part for part in reply.parts if isinstance(part, ReasoningPart) and (part.text or part.summary)
    ]
    assert [(part.text or "".join(part.summary)).strip() for part in thoughts] == ["Two files — é."]


@EACH
async def test_a_reply_that_breaks_off_in_mid_stream_may_be_asked_for_again(name: str) -> None:
    fault = (
        "{stream_error: {message: Overloaded, code: server_is_overloaded, type: overloaded_error}, after: 4}"
    )
    script = parse(f"steps: [{{text: 'One two three four.', faults: [{fault}, {{cut: 300}}]}}]")
    async with served(VENDORS[name], script) as (_, client):
        for kind in (Busy, StreamCutShort):
            with pytest.raises(ProviderError) as caught:
                await told(client, asked(user("Hi.")))
            assert isinstance(caught.value, kind)
            assert caught.value.retryable
        assert (await told(client, asked(user("Hi.")))).text == "One two three four."


async def test_openrouter_reports_what_a_reply_cost_and_is_pinned_from_config() -> None:
    vendor = VENDORS["openrouter"]
    pinned = {"order": ["anthropic"], "allow_fallbacks": False}
    config = Config.model_validate({
        "providers": {
            "openrouter": {
                "dialect": {"extra_body": {"provider": pinned}},
                "headers": {"http-referer": "https://example.org"},
            }
        },
        "models": {
            "openrouter/z-ai/*": {"dialect": {"extra_body": {"provider": {"only": ["z-ai"]}, "top_a": 1}}}
        },
    })
    with anyio.fail_after(5):
        async with serve(parse(LOOP)) as mock:
            env = {**vendor.env, "OPENROUTER_BASE_URL": f"{mock.url}/openrouter/api/v1"}
            client = language_model(vendor.model, config, env)
            reply = await told(client, asked(*ELSEWHERE, user("Hi.")))
            await client.aclose()
            (request,) = mock.requests
    assert reply.usage.cost == 0.0125
    assert json.loads(request.body)["provider"] == pinned
    assert request.headers["http-referer"] == "https://example.org"
    assert request.headers["x-openrouter-title"] == "treadle"
    other = language_model("openrouter/z-ai/glm-5.3", config, vendor.env)
    body = sent(other, asked(user("Hi.")))
    assert (body["provider"], body["top_a"]) == ({"only": ["z-ai"]}, 1)


async def test_a_place_from_config_alone_is_asked_with_its_own_key() -> None:
    with anyio.fail_after(5):
        async with serve(parse(LOOP)) as mock:
            config = Config.model_validate({
                "providers": {
                    "corp": {
                        "base_url": f"{mock.url}/vllm/v1",
                        "key_env": "CORP_KEY",
                        "auth": "x-api-key",
                        "dialect": {"single_system": True},
                    }
                }
            })
            client = language_model("corp/anything", config, {"CORP_KEY": "key-1234"})
            assert (await told(client, asked(user("Hi.")))).text == "Said elsewhere."
            await client.aclose()
    assert mock.requests[0].headers["x-api-key"] == "key-1234"


def test_xai_is_told_the_session_in_a_header_so_that_its_cache_is_met() -> None:
    vendor = VENDORS["xai"]
    client = model(vendor, vendor.env)
    _, headers, body = client.preview(client.encode(EVERYTHING))
    assert headers["x-grok-conv-id"] == "s-1"
    assert b"s-1" not in body
    assert "x-grok-conv-id" not in client.preview(client.encode(asked(user("Hi."))))[1]
