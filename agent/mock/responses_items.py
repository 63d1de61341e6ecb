"""The items of a Responses conversation: their shapes, and the seal on reasoning."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Mapping

from treadle.agent.mock import check as c
from treadle.agent.mock.check import Check, wrong
from treadle.agent.mock.jsontext import Json, members, words

NAME = r"[A-Za-z0-9_-]{1,64}"
SEAL = "mock."
CALLS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
RAN = frozenset({
    "code_interpreter_call",
    "compaction",
    "file_search_call",
    "image_generation_call",
    "mcp_call",
    "mcp_list_tools",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
})
"""Types of items in which the provider tells what it did itself."""
SPOKEN = frozenset({"reasoning", "message", *CALLS, *RAN})
"""Types of items that a model's reply is made of, as the mock makes them."""
HOSTED_ITEMS = (
    "additional_tools",
    "apply_patch_call",
    "apply_patch_call_output",
    "code_interpreter_call",
    "compaction",
    "computer_call",
    "computer_call_output",
    "configuration_update",
    "file_search_call",
    "image_generation_call",
    "local_shell_call",
    "local_shell_call_output",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "program",
    "program_output",
    "shell_call",
    "shell_call_output",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
)

_STATUS: Mapping[str, Check] = {"status": c.nullable(c.one_of("in_progress", "completed", "incomplete"))}
_BREAKPOINT: Mapping[str, Check] = {
    "prompt_cache_breakpoint": c.record({"mode": c.one_of("explicit")}, {"ttl": c.one_of("30m", "12h")})
}


def _id(prefix: str) -> Mapping[str, Check]:
    def check(value: Json, path: str) -> None:
        c.text(1)(value, path)
        if not words(value).startswith(prefix):
            raise wrong(path, f"{value!r}: expected an id that begins with {prefix!r}")

    return {"id": c.nullable(check)}


def _image_url(value: Json, path: str) -> None:
    c.text(1)(value, path)
    if not words(value).startswith(("data:image/", "http://", "https://")):
        raise wrong(path, "expected a data: URL of an image or an http(s) URL")


def _needs(record: Check, *keys: str) -> Check:
    def check(value: Json, path: str) -> None:
        record(value, path)
        if all(members(value).get(key) is None for key in keys):
            raise wrong(path, f"one of {', '.join(keys)} is required", "missing_required_parameter")

    return check


_DETAIL: Mapping[str, Check] = {"detail": c.one_of("auto", "low", "high", "original")}
_GIVEN = {
    "input_text": c.record({"type": c.anything, "text": c.text()}, _BREAKPOINT),
    "input_image": _needs(
        c.record(
            {"type": c.anything},
            {**_DETAIL, **_BREAKPOINT, "image_url": c.nullable(_image_url), "file_id": c.nullable(c.text(1))},
        ),
        "image_url",
        "file_id",
    ),
    "input_file": _needs(
        c.record(
            {"type": c.anything},
            {
                **_BREAKPOINT,
                "detail": c.one_of("auto", "low", "high"),
                "file_id": c.nullable(c.text(1)),
                "file_url": c.nullable(c.text(1)),
                "file_data": c.nullable(c.text(1)),
                "filename": c.nullable(c.text(1)),
            },
        ),
        "file_id",
        "file_url",
        "file_data",
    ),
}
_MADE = {
    "output_text": c.record(
        {"type": c.anything, "text": c.text()},
        {"annotations": c.items(c.mapping), "logprobs": c.items(c.mapping)},
    ),
    "refusal": c.record({"type": c.anything, "refusal": c.text()}),
}


def _parts(variants: Mapping[str, Check]) -> Check:
    return c.text_or(c.items(c.tagged("type", variants), least=1))


_ROLE: Mapping[str, Check] = {"role": c.anything}
_TYPE: Mapping[str, Check] = {"type": c.anything}
_INPUT_MESSAGE = c.record({**_ROLE, "content": _parts(_GIVEN)}, {**_TYPE, **_STATUS, **_id("msg")})
_PHASE: Mapping[str, Check] = {"phase": c.nullable(c.one_of("commentary", "final_answer"))}
_OUTPUT_MESSAGE = c.record({**_ROLE, "content": _parts(_MADE)}, {**_TYPE, **_STATUS, **_PHASE, **_id("msg")})
_MESSAGE = c.tagged(
    "role",
    {**dict.fromkeys(("user", "system", "developer"), _INPUT_MESSAGE), "assistant": _OUTPUT_MESSAGE},
)
_SUMMARY = c.record({"type": c.one_of("summary_text"), "text": c.text()})
_THOUGHT = c.record({"type": c.one_of("reasoning_text"), "text": c.text()})


def _sealed(value: Json, path: str) -> None:
    c.text(1)(value, path)
    if unseal(words(value)) is None:
        raise wrong(path, "the encrypted content could not be verified", "invalid_encrypted_content")


_CALLED: Mapping[str, Check] = {"call_id": c.text(1, 64), "name": c.text(1, pattern=NAME)}
_CALLER: Mapping[str, Check] = {"caller": c.nullable(c.mapping), "namespace": c.nullable(c.text(1))}
_RESULT = c.record(
    {**_TYPE, "call_id": c.text(1, 64), "output": _parts(_GIVEN)},
    {**_STATUS, **_CALLER, "id": c.nullable(c.text(1)), "name": c.nullable(c.text())},
)
_ITEM = c.tagged(
    "type",
    {
        "message": _MESSAGE,
        "reasoning": c.record(
            {**_TYPE, "summary": c.items(_SUMMARY)},
            {
                **_STATUS,
                **_id("rs"),
                "content": c.nullable(c.items(_THOUGHT)),
                "encrypted_content": c.nullable(_sealed),
            },
        ),
        "function_call": c.record(
            {**_TYPE, **_CALLED, "arguments": c.text()}, {**_STATUS, **_CALLER, **_id("fc"), "async": c.flag}
        ),
        "function_call_output": _RESULT,
        "custom_tool_call": c.record(
            {**_TYPE, **_CALLED, "input": c.text()}, {**_STATUS, **_CALLER, **_id("ctc")}
        ),
        "custom_tool_call_output": _RESULT,
        "item_reference": c.record({**_TYPE, "id": c.text(1)}),
        **dict.fromkeys(HOSTED_ITEMS, c.mapping),
    },
)


def _item(value: Json, path: str) -> None:
    (_ITEM if "type" in members(value) else _MESSAGE)(value, path)


def check_input(value: Json, path: str) -> None:
    if isinstance(value, str):
        c.text(1)(value, path)
    else:
        c.items(_item, least=1)(value, path)


def seal(thought: str) -> str:
    """Reasoning that only the mock can read, and that shows if it was changed."""
    data = thought.encode("utf-8", "surrogatepass")
    return SEAL + b64encode(hashlib.sha256(data).digest()[:9] + data).decode()


def unseal(sealed: str) -> str | None:
    """The reasoning in sealed content; None if it is not the mock's, or was changed."""
    try:
        data = b64decode(sealed.removeprefix(SEAL), validate=True)
        thought = data[9:].decode("utf-8", "surrogatepass")
    except ValueError:
        return None
    return thought if sealed.startswith(SEAL) and seal(thought) == sealed else None


def kind(item: Mapping[str, Json]) -> str:
    """The type of an item; what has none is a message."""
    return words(item.get("type")) or "message"


def spoken(item: Mapping[str, Json]) -> bool:
    """Whether a model made this item."""
    return kind(item) in SPOKEN and item.get("role", "assistant") == "assistant"
