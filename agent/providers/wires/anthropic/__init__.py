"""The Anthropic Messages wire."""

from __future__ import annotations

from collections.abc import Mapping

from treadle.agent.messages import AssistantMessage
from treadle.agent.providers.classify import failure
from treadle.agent.providers.contract import (
    Decoder,
    HttpCall,
    ModelInfo,
    ModelRequest,
    ProviderError,
    Renderings,
    WireName,
)
from treadle.agent.providers.wires.anthropic.request import request_call
from treadle.agent.providers.wires.anthropic.stream import MessageDecoder, read_whole
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject


@frozen
class Anthropic:
    """`POST /messages`, at Anthropic and where its API is spoken too. WIRES §4.

    A row's `dialect` says where a vendor or model strays. Its keys, with what holds when one is absent:

      anthropic_version     "2026-10-21", and "2023-06-01" where temperature, top_p or top_k are sent
      version_in_body       "": or what stands there in place of the header and of `model`, which the path names
      paths                 ("/messages", "/messages"): for a whole and for a streamed reply; `{model}` is the id
      media_urls            True: media may be named by a URL
      betas                 (): names for the beta header
      sampling              "never"; or "allowed", "when_not_reasoning": temperature, top_p, top_k are taken
      thinking              "adaptive"; or "enabled" (with a budget of tokens), "none"
      thinking_off          "disabled"; or "between_tools", "unsupported": how effort "none" is said
      efforts               all from "low" to "max", none where `thinking` is "none": what is taken as effort
      drop_unbound_thinking False; True has thinking dropped that is bound to another past, in place of an error
      forced_tool_choice    "yes"; or "no", "not_while_thinking": else asked for in words
      structured            "json_schema"; or "prompt": asked for in words
      mid_system            False; True if notices may stand as system entries among the messages
      cache_points          4: how many cache markers a request takes
      hosted                {kind: type} of hosted tools: web_search, code_interpreter, tool_search are known

    A hosted tool's `config` goes out as it is; but for `deferred` of tool_search, the names of the tools that are
    only loaded once they were found.
    """

    @property
    def name(self) -> WireName:
        return "anthropic"

    def encode(self, request: ModelRequest, model: ModelInfo, kept: Renderings, *, stream: bool) -> HttpCall:
        return request_call(request, model, kept, stream=stream)

    def decoder(self, model: ModelInfo) -> Decoder:
        return MessageDecoder(model)

    def decode(self, body: JsonObject, model: ModelInfo) -> AssistantMessage:
        return read_whole(body, model)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return failure(status, headers, body)
