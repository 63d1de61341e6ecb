"""Gemini's Interactions API as the mock speaks it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_automatic import google
from treadle.agent.mock.billing_prompt import Moment, Prompt, stream
from treadle.agent.mock.check import Refused
from treadle.agent.mock.contract import Asked, Offered, Reply, Usage
from treadle.agent.mock.gemini import Gemini
from treadle.agent.mock.gemini_hosted import hosted_kinds, ran_steps
from treadle.agent.mock.interactions_rules import check, signature, steps
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, read, words, write
from treadle.agent.mock.pieces import pieces
from treadle.agent.mock.script import Finish

STATUSES: Mapping[Finish, str] = {
    "stop": "completed",
    "length": "incomplete",
    "tool_calls": "requires_action",
    "content_filter": "failed",
}
BLOCKED: JsonObject = {"code": 400, "message": "blocked by content filtering"}


class Interactions(Gemini):
    """`POST …/interactions`. What is stored is put into the input before a request is read. Thoughts are signed, and signatures are checked."""

    def __init__(self) -> None:
        super().__init__()
        self.path = "/{version}/interactions"

    def read(self, body: Json, headers: Mapping[str, str]) -> Asked:
        """Check a request and say what it asks. Raises Refused."""
        request = check(body)
        given = steps(request)
        config = members(request.get("generation_config"))
        choice = config.get("tool_choice")
        allowed = members(members(choice).get("allowed_tools"))
        names = [words(name) for name in elements(allowed.get("tools"))]
        tools = tuple(_offered(request, names))
        forms = [members(form) for form in elements(request.get("response_format"))]
        form = next((form for form in forms if form.get("mime_type") == "application/json"), None)
        first = next((step for step in given if step["type"] == "user_input"), None)
        return Asked(
            body=request,
            model=words(request["model"]),
            stream=request.get("stream") is True,
            key=hashlib.sha256(write(first)).hexdigest(),
            replies=_replies(given),
            last_result=_last_result(given),
            tools=tools,
            wants_call=bool(tools) and choice != "none" and not _has_called(given),
            forced=names[0] if names and allowed.get("mode") == "any" else None,
            hosted=hosted_kinds(request),
            schema=form.get("schema", {}) if form is not None else None,
        )

    def bill(self, asked: Asked, ledger: Ledger, moment: Moment) -> Prompt:
        """Bill system, tools and steps against an automatic prefix cache."""
        body = asked.body
        system = [told] if (told := body.get("system_instruction")) else []
        given = body["input"]
        steps = elements(given) if isinstance(given, list) else [given]
        data = stream([*elements(body.get("tools")), *system, *steps])
        return ledger.steps.bill(("gemini", asked.model), data, google(asked.model), moment)

    def whole(self, asked: Asked, reply: Reply) -> bytes:
        """An `interaction`."""
        return write({**_ended(reply), "steps": [*_said(asked, reply)]})

    def events(self, asked: Asked, reply: Reply) -> list[bytes]:
        """The interaction, each step with its deltas, and the interaction as it ended."""
        created: JsonObject = {**_head(reply), "status": "in_progress"}
        told: list[tuple[str, JsonObject]] = [("interaction.created", {"interaction": created})]
        for index, step in enumerate(_said(asked, reply)):
            opened, deltas = _parts(step)
            told.append(("step.start", {"index": index, "step": opened}))
            told.extend(("step.delta", {"index": index, "delta": delta}) for delta in deltas)
            told.append(("step.stop", {"index": index}))
        told.append(("interaction.completed", {"interaction": _ended(reply)}))
        named = asked.body.get("store") is not False
        return [
            _event(kind, **data, **({"event_id": f"ev_{reply.id}_{at}"} if named else {}))
            for at, (kind, data) in enumerate(told)
        ]

    def error(self, refused: Refused) -> bytes:
        """As Gemini's, but an interaction that is not found has a word for a code, and no status."""
        if refused.code != "not_found":
            return super().error(refused)
        return write({"error": {"code": "not_found", "message": refused.message}})

    def stream_error(self, given: JsonObject, *, framed: bool) -> bytes:
        """An `error` event, or its error as a body."""
        error: JsonObject = {"code": "503", "message": "The model is overloaded.", **given}
        return _event("error", error=error) if framed else write({"error": error})


def _offered(request: Mapping[str, Json], allowed: Sequence[str]) -> Iterator[Offered]:
    for tool in map(members, elements(request.get("tools"))):
        name = words(tool.get("name"))
        if tool["type"] == "function" and not tool.get("defer_loading") and (not allowed or name in allowed):
            yield Offered(name, tool.get("parameters", {}))


def _replies(given: Sequence[Mapping[str, Json]]) -> int:
    """Runs of steps that a model made."""
    made = [step["type"] not in {"user_input", "function_result"} for step in given]
    return sum(now and not before for before, now in zip([False, *made], made, strict=False))


def _last_result(given: Sequence[Mapping[str, Json]]) -> str | None:
    for step in reversed(given):
        if step["type"] == "function_result":
            told = step["result"]
            texts = [words(members(part).get("text")) for part in elements(told)]
            return words(told) or "".join(texts) or write(dict(members(told))).decode()
    return None


def _has_called(given: Sequence[Mapping[str, Json]]) -> bool:
    kinds = [step["type"] for step in reversed(given)]
    return next((kind for kind in kinds if kind in {"user_input", "function_call"}), "") == "function_call"


def _head(reply: Reply) -> JsonObject:
    return {"id": f"v1_{reply.id}", "object": "interaction", "model": reply.model}


def _ended(reply: Reply) -> JsonObject:
    ended: JsonObject = {**_head(reply), "status": STATUSES[reply.finish], "usage": _usage(reply.usage)}
    return {**ended, "errors": [dict(BLOCKED)]} if reply.finish == "content_filter" else ended


def _said(asked: Asked, reply: Reply) -> Iterator[JsonObject]:
    """The steps of a reply; what was thought is told only where it is asked for, but always signed."""
    if reply.reasoning:
        config = members(asked.body.get("generation_config"))
        shown = config.get("thinking_summaries") == "auto"
        summary: list[Json] = [{"type": "text", "text": reply.reasoning}] if shown else []
        thought: JsonObject = {"type": "thought", **({"summary": summary} if shown else {})}
        yield {**thought, "signature": signature(asked.model, thought)}
    for position, ran in enumerate(reply.hosted):
        yield from ran_steps(ran, f"ran_{reply.id}_{position}")
    if reply.text:
        yield {"type": "model_output", "content": [{"type": "text", "text": reply.text}]}
    for call in reply.calls:
        arguments = _parsed(call.arguments)
        yield {"type": "function_call", "id": call.id, "name": call.name, "arguments": arguments}


def _parsed(arguments: str) -> JsonObject:
    """Arguments as an object: nothing else fits into a step."""
    try:
        return dict(members(read(arguments)))
    except ValueError:
        return {}


def _parts(step: JsonObject) -> tuple[JsonObject, list[JsonObject]]:
    """A step as it begins, and the deltas that fill it."""
    match step["type"]:
        case "thought":
            texts = [words(members(item)["text"]) for item in elements(step.get("summary"))]
            deltas: list[JsonObject] = [
                {"type": "thought_summary", "content": {"type": "text", "text": piece}}
                for text in texts
                for piece in pieces(text)
            ]
            return {"type": "thought"}, [
                *deltas,
                {"type": "thought_signature", "signature": step["signature"]},
            ]
        case "model_output":
            text = words(members(elements(step["content"])[0])["text"])
            return {"type": "model_output"}, [{"type": "text", "text": piece} for piece in pieces(text)]
        case "function_call":
            written = write(step["arguments"]).decode()
            return {**step, "arguments": {}}, [
                {"type": "arguments_delta", "arguments": piece} for piece in pieces(written)
            ]
        case _:
            return step, []


def _usage(usage: Usage) -> JsonObject:
    return {
        "total_input_tokens": usage.input,
        "total_cached_tokens": usage.cached,
        "total_output_tokens": usage.output - usage.reasoning,
        "total_thought_tokens": usage.reasoning,
        "total_tool_use_tokens": 0,
        "total_tokens": usage.input + usage.output,
    }


def _event(kind: str, **data: Json) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + write({"event_type": kind, **data}) + b"\n\n"
