"""Chat Completions as the vendors that follow OpenAI speak them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_prompt import Moment, Prompt, stream, whole
from treadle.agent.mock.chat import DONE, Chat
from treadle.agent.mock.check import Refused, mapping
from treadle.agent.mock.contract import Asked, Reply, Vendor
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, read, words, write
from treadle.agent.mock.manners import MANNERS, Manner, nine, seal
from treadle.agent.mock.openai_frame import models_of, require_bearer

_ONLY_OURS = ("reasoning", "reasoning_details", "cache_control")
"""Fields of messages and parts that OpenAI does not know, and vendors do."""


class Compatible:
    """`POST …/chat/completions` below a path of the vendor's own, with the vendor's manner."""

    max_body = 100_000_000
    request_id = "x-request-id"
    vendor: Vendor = "compatible"

    def __init__(self, manner: Manner) -> None:
        self.path = manner.path
        self._manner = manner
        self._chat = Chat()

    def admit(self, headers: Mapping[str, str]) -> None:
        """Require what the vendor does. Raises Refused."""
        if self._manner.key == "bearer" or (self._manner.key == "api-key" and "api-key" not in headers):
            require_bearer(headers)

    def read(self, body: Json, headers: Mapping[str, str]) -> Asked:
        """Check a request by the vendor's rules, and then by OpenAI's. Raises Refused."""
        mapping(body, "")
        for rule in self._manner.rules:
            rule(members(body))
        plain = {key: value for key, value in members(body).items() if key not in self._manner.extra}
        plain["messages"] = _without(plain.get("messages"))
        return self._chat.read(plain, headers)

    def bill(self, asked: Asked, ledger: Ledger, moment: Moment) -> Prompt:
        """Bill as OpenAI does, or by DeepSeek's units."""
        if self._manner.cache != "units":
            return self._chat.bill(asked, ledger, moment)
        units = [*elements(asked.body.get("tools")), *elements(asked.body["messages"])]
        blocks = [replace(whole(unit), open=members(unit).get("role") == "assistant") for unit in units]
        return ledger.units.bill(("deepseek", asked.model), blocks, stream(units), moment)

    def whole(self, asked: Asked, reply: Reply) -> bytes:
        """A `chat.completion`."""
        body: JsonObject = dict(members(read(self._chat.whole(asked, reply).decode())))
        choice = members(elements(body["choices"])[0])
        message = self._put(members(choice["message"]))
        sealed = elements(message.get("reasoning_details"))
        if sealed:
            message["reasoning_details"] = [{**members(sealed[0]), "signature": seal(reply.reasoning)}]
        return write({
            **body,
            "choices": [{**choice, "message": message}],
            "usage": self._usage(body["usage"]),
        })

    def events(self, asked: Asked, reply: Reply) -> list[bytes]:
        """Chunks, after what the vendor opens a stream with; usage where the vendor puts it; [DONE]."""
        streaming: JsonObject = {**asked.body, "stream_options": {"include_usage": True}}
        chunks = [
            dict(members(read(event.removeprefix(b"data: ").decode())))
            for event in self._chat.events(replace(asked, body=streaming), reply)[:-1]
        ]
        told, last = dict(chunks.pop()), chunks[-1]
        usage = self._usage(told["usage"])
        wanted = members(asked.body.get("stream_options")).get("include_usage") is True
        events = [*self._opened(chunks, reply)]
        match self._manner.usage:
            case "always":
                last["usage"] = usage
            case "every":
                for chunk in events:
                    chunk["usage"] = usage
            case "x_groq":
                last["x_groq"] = {"id": reply.id, "usage": usage}
            case "asked" if wanted:
                events.append({**told, "usage": usage})
            case _:
                pass
        framed = (b"data: " + write(event) + b"\n\n" for event in events)
        return [*self._manner.opening, *framed, DONE]

    def error(self, refused: Refused) -> bytes:
        """An error as the vendor words it."""
        return self._manner.error(refused)

    def stream_error(self, given: JsonObject, *, framed: bool) -> bytes:
        """An error under HTTP 200; where one streams, in a chunk whose choice ends with `error`."""
        error: JsonObject = {"code": 502, "message": "Provider returned error", **given}
        choice: JsonObject = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
        body = write({"error": error, "choices": [choice]} if framed else {"error": error})
        return b"data: " + body + b"\n\n" if framed else body

    def catalogue(self, model: str) -> JsonObject:
        """The list of models, with one model in it."""
        return models_of(model)

    def _opened(self, chunks: list[JsonObject], reply: Reply) -> Iterator[JsonObject]:
        """Yield the chunks in the vendor's words, the reasoning closed before anything else is said."""
        reasons = False
        for chunk in chunks:
            chunk.pop("usage")
            choice = members(elements(chunk["choices"])[0])
            delta = members(choice["delta"])
            if "reasoning_content" in delta and not reasons and self._manner.reasoning == "tags":
                yield {**chunk, "choices": [{**choice, "delta": {"content": "<think>\n"}}]}
            if reasons and "reasoning_content" not in delta:
                for closing in self._closed(reply.reasoning):
                    yield {**chunk, "choices": [{**choice, "delta": closing, "finish_reason": None}]}
            reasons = "reasoning_content" in delta
            chunk["choices"] = [{**choice, "delta": self._put(delta)}]
            yield chunk

    def _closed(self, reasoning: str) -> Iterator[JsonObject]:
        match self._manner.reasoning:
            case "tags":
                yield {"content": "\n</think>\n\n"}
            case "details":
                detail: JsonObject = {"type": "reasoning.text", "signature": seal(reasoning), "index": 0}
                yield {"reasoning_details": [detail]}
            case _:
                pass

    def _put(self, said: Mapping[str, Json]) -> JsonObject:
        """A message or a delta in the vendor's words."""
        put = {key: value for key, value in said.items() if key not in {"refusal", "annotations"}}
        text = put.pop("reasoning_content", None)
        whole = "role" in said and text is not None
        match self._manner.reasoning if text is not None else None:
            case "reasoning_content":
                put["reasoning_content"] = text
            case "reasoning":
                put["reasoning"] = text
            case "details":
                detail: JsonObject = {"type": "reasoning.text", "text": text, "index": 0, "format": "unknown"}
                put |= {"reasoning": text, "reasoning_details": [detail]}
            case "tags" if whole:
                put["content"] = f"<think>\n{text}\n</think>\n\n{put.get('content') or ''}"
            case "tags":
                put["content"] = text
            case "chunks":
                chunk: JsonObject = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
                rest: list[Json] = [{"type": "text", "text": put["content"]}] if put.get("content") else []
                put["content"] = [chunk, *rest]
            case None:
                pass
        if "tool_calls" in put:
            put["tool_calls"] = [self._called(members(call)) for call in elements(put["tool_calls"])]
        return put

    def _called(self, call: Mapping[str, Json]) -> JsonObject:
        match self._manner.ids:
            case "none":
                return {key: value for key, value in call.items() if key != "id"}
            case "nine" if "id" in call:
                return {**call, "id": nine(words(call["id"]))}
            case _:
                return dict(call)

    def _usage(self, usage: Json) -> JsonObject:
        told: JsonObject = {**members(usage), **(self._manner.more or {})}
        if self._manner.cache == "units":
            total, hit = told["prompt_tokens"], members(told["prompt_tokens_details"])["cached_tokens"]
            assert isinstance(total, int)
            assert isinstance(hit, int)
            told |= {"prompt_cache_hit_tokens": hit, "prompt_cache_miss_tokens": total - hit}
        return told


def _without(value: Json) -> Json:
    """Messages or parts without the fields that only vendors know."""
    if isinstance(value, list):
        return [_without(item) for item in value]
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key not in _ONLY_OURS}
        if isinstance(kept.get("content"), list):
            spoken = [part for part in elements(kept["content"]) if members(part).get("type") != "thinking"]
            kept["content"] = _without(spoken or "")
        return kept
    return value


def compatible_faces() -> tuple[Compatible, ...]:
    """A face for every vendor."""
    return tuple(Compatible(manner) for manner in MANNERS)
