"""The counting of tokens before a request is made: as many as it will be billed for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from treadle.agent.mock.anthropic import Anthropic
from treadle.agent.mock.billing import Ledger
from treadle.agent.mock.billing_prompt import Moment
from treadle.agent.mock.check import Refused, mapping, wrong
from treadle.agent.mock.contract import PATH, Asked, Face
from treadle.agent.mock.delivery import Delivery, plain
from treadle.agent.mock.gemini import HERE, VERTEX, Gemini
from treadle.agent.mock.jsontext import Json, JsonObject, members, words, write
from treadle.agent.mock.keeping import Keeping
from treadle.agent.mock.rented import ClaudeOnVertex, ResponsesOnAzure
from treadle.agent.mock.responses import Responses
from treadle.agent.mock.routes import Answer, Request, Route
from treadle.sandbox.frozen import frozen

RESPONSES = frozenset({
    "conversation",
    "input",
    "instructions",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "reasoning",
    "text",
    "tool_choice",
    "tools",
    "truncation",
})
MESSAGES = frozenset({
    "cache_control",
    "mcp_servers",
    "messages",
    "model",
    "output_config",
    "speed",
    "system",
    "thinking",
    "tool_choice",
    "tools",
    "user_profile_id",
    "workspace_id",
})
VERTEX_COUNT = (
    "/vertex/v1/projects/{project}/locations/{location}/publishers/anthropic/models/count-tokens:rawPredict"
)
ROOMY = 1_000_000
"""`max_tokens` that no thinking budget reaches."""


def count(face: Face, asked: Asked, now: float) -> int:
    """Tokens that a request holds, as the bill has them; nothing is kept in a cache."""
    return face.bill(asked, Ledger(), Moment(now, now, "")).input


@frozen
class Counting:
    """The endpoints that count."""

    keeping: Keeping

    def responses(self, request: Request) -> Delivery:
        """`POST /v1/responses/input_tokens`: also of what a chain or a conversation holds."""
        body = _body(request, RESPONSES)
        face, model = Responses(), body.get("model")
        whole: JsonObject = {**body, "model": "gpt" if model is None else model}
        asked = self._asked(face, self.keeping.responses.recall(whole, request.now).body, request)
        counted: JsonObject = {
            "object": "response.input_tokens",
            "input_tokens": count(face, asked, request.now),
        }
        return plain(200, write(counted))

    def messages(self, request: Request) -> Delivery:
        """`POST /v1/messages/count_tokens`."""
        face = Anthropic()
        asked = self._asked(face, {**_body(request, MESSAGES), "max_tokens": ROOMY}, request)
        return plain(200, write({"input_tokens": count(face, asked, request.now)}))

    def messages_on_vertex(self, request: Request) -> Delivery:
        """`POST …/models/count-tokens:rawPredict`, with the model in the body and the version, too."""
        face = ClaudeOnVertex("rawPredict")
        body = dict(_body(request, MESSAGES | {"anthropic_version"}))
        path = f"/models/{words(body.pop('model', None))}:rawPredict"
        asked = face.read({**body, "max_tokens": ROOMY}, {**request.headers, PATH: path})
        return plain(200, write({"input_tokens": count(face, asked, request.now)}))

    def contents(self, request: Request) -> Delivery:
        """`POST …/models/MODEL:countTokens`: of `contents`, or of a whole `generateContentRequest`."""
        body = members(request.json())
        whole = members(body.get("generateContentRequest", body.get("generate_content_request")))
        if whole and len(body) > 1:
            raise Refused("Only one of contents and generateContentRequest may be set.")
        named = words(whole.get("model")) if whole else ""
        if whole and named.removeprefix("models/") != request.names["model"]:
            raise Refused(f"generateContentRequest.model: {named!r} is not the model of the path")
        given: JsonObject = {key: value for key, value in (whole or body).items() if key != "model"}
        face = Gemini()
        tokens = count(face, self._asked(face, given, request), request.now)
        details: list[Json] = [{"modality": "TEXT", "tokenCount": tokens}]
        return plain(200, write({"totalTokens": tokens, "promptTokensDetails": details}))

    def _asked(self, face: Face, body: Json, request: Request) -> Asked:
        asked = face.read(body, {**request.headers, PATH: request.path})
        self.keeping.check(face.vendor, asked.body, request.url, request.now)
        return asked


def counting_routes(keeping: Keeping) -> Iterator[Route]:
    """The routes."""
    counting = Counting(keeping)
    for base, face in (("/v1", Responses()), ("/azure/openai/v1", ResponsesOnAzure())):
        yield _route(f"{base}/responses/input_tokens", face, counting.responses)
    yield _route("/v1/messages/count_tokens", Anthropic(), counting.messages)
    yield _route(VERTEX_COUNT, ClaudeOnVertex("rawPredict"), counting.messages_on_vertex)
    for place in (HERE, VERTEX):
        yield _route(f"{place}countTokens", Gemini(), counting.contents)


def _route(path: str, face: Face, answer: Answer) -> Route:
    return Route("POST", path, face, answer, max_body=face.max_body)


def _body(request: Request, known: frozenset[str]) -> Mapping[str, Json]:
    body = request.json()
    mapping(body, "")
    for key in members(body):
        if key not in known:
            raise wrong(key, "unknown parameter", "unknown_parameter")
    return members(body)
