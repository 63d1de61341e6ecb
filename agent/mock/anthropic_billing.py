"""What Anthropic's cache makes of a request: its blocks in order, the least it keeps, and why it missed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_diagnosis import Asking
from treadle.agent.mock.billing_prompt import Block, Moment, Prompt, chained, cut
from treadle.agent.mock.jsontext import Json, elements, members, words, write

MARKER = "cache_control"
KEPT = {"5m": 300.0, "1h": 3600.0}
LEAST: Sequence[tuple[str, int]] = (
    (r"fable|mythos|opus-5|sonnet-5-5|haiku-5-5", 512),
    (r"opus-4-7", 2048),
    (r"opus-4-[56]|haiku-4-5", 4096),
    (r"", 1024),
)
"""Tokens of the shortest prefix that is kept, by what is in a model's name."""


def bill(request: Mapping[str, Json], ledger: Ledger, moment: Moment) -> Prompt:
    """Bill a valid request, and explain a miss where that is asked for."""
    model = words(request["model"])
    tools, system, messages = _tools(request), _system(request), _messages(request)
    blocks = [*tools, *system, *messages]
    least = next(count for pattern, count in LEAST if re.search(pattern, model))
    prompt = ledger.marked.anthropic(("anthropic", model), blocks, least, moment)
    wanted = request.get("diagnostics")
    if not isinstance(wanted, dict):
        return prompt
    asking = Asking(
        (
            ("model_changed", (model, request.get("speed"))),
            ("tools_changed", tuple(chained("", tools)[0])),
            ("system_changed", tuple(chained("", system)[0])),
        ),
        "messages_changed",
        tuple(chained("", messages)[0]),
        prompt.input,
    )
    previous = words(wanted.get("previous_message_id")).removeprefix("msg_") or None
    lost = "previous_message_not_found"
    return replace(prompt, miss=ledger.diagnoses.compare(moment.name, asking, prompt.cached, previous, lost))


def _keep(mark: Mapping[str, Json]) -> float:
    return KEPT[words(mark.get("ttl")) or "5m"]


def _tools(request: Mapping[str, Json]) -> list[Block]:
    """Deferred tools are no part of the prompt."""
    tools = [members(tool) for tool in elements(request.get("tools"))]
    return [block for tool in tools if tool.get("defer_loading") is not True for block in _cut(tool, "")]


def _system(request: Mapping[str, Json]) -> list[Block]:
    blocks = [block for part in _listed(request.get("system")) for block in _cut(members(part), "")]
    return _after(blocks, [request.get("speed")])


def _messages(request: Mapping[str, Json]) -> list[Block]:
    """Text that is no list is one block; a breakpoint of the whole request stands on the last block."""
    messages = [
        {**message, "content": _listed(message["content"])}
        for message in map(members, elements(request["messages"]))
    ]
    blocks = [block for message in messages for block in _cut(message, "content")]
    if automatic := members(request.get(MARKER)):
        blocks[-1] = replace(blocks[-1], keep=blocks[-1].keep or _keep(automatic))
    effort = members(request.get("output_config")).get("effort")
    shown = any(_shows(message) for message in messages)
    knobs = [request.get("speed"), request.get("tool_choice"), request.get("thinking"), effort, shown]
    return _after(blocks, knobs)


def _listed(content: Json) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else elements(content)


def _cut(held: Mapping[str, Json], key: str) -> list[Block]:
    return cut(held, key, MARKER, _keep)


def _after(blocks: list[Block], knobs: Sequence[Json]) -> list[Block]:
    """Blocks that are only known again where these knobs stand as they do."""
    return [replace(block, data=write(knobs) + block.data) for block in blocks[:1]] + blocks[1:]


def _shows(message: Mapping[str, Json]) -> bool:
    return any(part.get("type") == "image" for part in _parts(message))


def _parts(held: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    for part in map(members, elements(held.get("content"))):
        yield part
        yield from map(members, elements(part.get("content")))
