"""OpenAI's legacy Completions as the mock speaks it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from treadle.agent.mock import check as c
from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_automatic import Rule
from treadle.agent.mock.billing_prompt import BYTES_PER_TOKEN, Moment, Prompt, tokens
from treadle.agent.mock.check import Refused, wrong
from treadle.agent.mock.contract import Asked, Reply, Vendor
from treadle.agent.mock.jsontext import Json, JsonObject, elements, members, words, write
from treadle.agent.mock.openai_billing import LEAST, LIFE
from treadle.agent.mock.openai_frame import error_of, models_of, require_bearer
from treadle.agent.mock.pieces import pieces

DONE = b"data: [DONE]\n\n"
TURN = "Assistant:"
"""A line that begins with this is a reply, in a prompt that holds a conversation; the last one is to be written."""
_TOKENS = c.items(c.integer(0), least=1)
_REQUEST = c.record(
    {"model": c.text(1), "prompt": c.text_or(c.items(c.anything, least=1))},
    {
        "best_of": c.nullable(c.integer(1, 1)),
        "echo": c.nullable(c.flag),
        "frequency_penalty": c.nullable(c.number(-2, 2)),
        "logit_bias": c.nullable(c.mapping),
        "logprobs": c.nullable(c.integer(0, 5)),
        "max_tokens": c.nullable(c.integer(0)),
        "n": c.nullable(c.integer(1, 1)),  # a script has one reply to a request
        "presence_penalty": c.nullable(c.number(-2, 2)),
        "seed": c.nullable(c.integer(-(2**63), 2**63 - 1)),
        "stop": c.nullable(c.text_or(c.items(c.text(1), least=1, most=4))),
        "stream": c.nullable(c.flag),
        "stream_options": c.nullable(c.record({}, {"include_usage": c.flag, "include_obfuscation": c.flag})),
        "suffix": c.nullable(c.text()),
        "temperature": c.nullable(c.number(0, 2)),
        "top_p": c.nullable(c.number(0, 1)),
        "user": c.text(),
    },
)


class Completions:
    """`POST /v1/completions`: a prompt in, text out. Calls and reasoning of a script have no place here."""

    path = "/v1/completions"
    max_body = 26_214_400
    request_id = "x-request-id"
    vendor: Vendor = "openai"

    def admit(self, headers: Mapping[str, str]) -> None:
        """Require a bearer token."""
        require_bearer(headers)

    def read(self, body: Json, headers: Mapping[str, str]) -> Asked:
        """Check a request and say what it asks. Raises Refused."""
        _REQUEST(body, "")
        request: JsonObject = dict(members(body))
        prompt = _prompt(request["prompt"])
        if request.get("stream_options") and not request.get("stream"):
            raise wrong("stream_options", "only allowed when stream is true")
        turns = f"\n{prompt}".split(f"\n{TURN}")
        return Asked(
            body=request,
            model=words(request["model"]),
            stream=request.get("stream") is True,
            key=hashlib.sha256(turns[0].encode("utf-8", "surrogatepass")).hexdigest(),
            replies=max(0, len(turns) - 2),
            last_result=None,
            tools=(),
            wants_call=False,
            forced=None,
            schema=None,
        )

    def bill(self, asked: Asked, ledger: Ledger, moment: Moment) -> Prompt:
        """Bill the prompt against an automatic prefix cache."""
        data = _prompt(asked.body["prompt"]).encode("utf-8", "surrogatepass")
        whole = data.ljust(tokens(len(data)) * BYTES_PER_TOKEN, b"\0")
        return ledger.steps.bill((self.path, asked.model), whole, Rule(LEAST, LIFE), moment)

    def whole(self, asked: Asked, reply: Reply) -> bytes:
        """A `text_completion`."""
        choice = _choice(_text(asked, reply), _finish(reply), asked)
        return write({**_head(reply), "choices": [choice], "usage": _usage(reply)})

    def events(self, asked: Asked, reply: Reply) -> list[bytes]:
        """The same objects in pieces, usage if asked for, [DONE]."""
        usage = members(asked.body.get("stream_options")).get("include_usage") is True
        more: JsonObject = {"usage": None} if usage else {}
        choices = [_choice(piece, None, asked) for piece in pieces(_text(asked, reply))]
        choices.append(_choice("", _finish(reply), asked))
        chunks: list[JsonObject] = [{**_head(reply), "choices": [choice], **more} for choice in choices]
        if usage:
            chunks.append({**_head(reply), "choices": [], "usage": _usage(reply)})
        return [*(b"data: " + write(chunk) + b"\n\n" for chunk in chunks), DONE]

    def error(self, refused: Refused) -> bytes:
        """`{"error": {message, type, param, code}}`."""
        return error_of(refused)

    def stream_error(self, given: JsonObject, *, framed: bool) -> bytes:
        """An `error` object where a chunk or a completion is expected."""
        error: JsonObject = {"message": "The server had an error", "type": "server_error", "param": None}
        body = write({"error": {**error, "code": None, **given}})
        return b"data: " + body + b"\n\n" if framed else body

    def catalogue(self, model: str) -> JsonObject:
        """The list of models, with one model in it."""
        return models_of(model)


def _prompt(value: Json) -> str:
    """The prompt as text; of tokens, one character each. Raises Refused for more than one prompt."""
    if isinstance(value, str):
        return value
    items = elements(value)
    if all(isinstance(item, int) for item in items):
        _TOKENS(value, "prompt")
        return "." * len(items)
    if len(items) != 1:
        raise wrong("prompt", "expected one prompt")
    return _prompt(items[0])


def _text(asked: Asked, reply: Reply) -> str:
    """What follows the prompt: a space comes first, as a model writes after a word."""
    prompt = _prompt(asked.body["prompt"])
    text = reply.text if not prompt or prompt[-1].isspace() else f" {reply.text}"
    return prompt + text if asked.body.get("echo") else text


def _finish(reply: Reply) -> str:
    return "stop" if reply.finish == "tool_calls" else reply.finish


def _choice(text: str, finish: str | None, asked: Asked) -> JsonObject:
    return {"index": 0, "text": text, "logprobs": _logprobs(text, asked), "finish_reason": finish}


def _logprobs(text: str, asked: Asked) -> JsonObject | None:
    """How likely each piece was: the same for all."""
    most = asked.body.get("logprobs")
    if most is None or not text:
        return None
    tokens = pieces(text)
    tops: list[Json] = [{token: -0.5} for token in tokens]
    return {
        "tokens": [*tokens],
        "token_logprobs": [-0.5 for _ in tokens],
        "top_logprobs": tops if most else None,
        "text_offset": [sum(map(len, tokens[:at])) for at in range(len(tokens))],
    }


def _head(reply: Reply) -> JsonObject:
    return {
        "id": f"cmpl-{reply.id}",
        "object": "text_completion",
        "created": reply.created,
        "model": reply.model,
    }


def _usage(reply: Reply) -> JsonObject:
    usage = reply.usage
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }
