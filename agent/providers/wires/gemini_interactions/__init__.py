"""The Gemini Interactions wire."""

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
from treadle.agent.providers.wires.gemini_interactions.request import request_call
from treadle.agent.providers.wires.gemini_interactions.stream import InteractionDecoder, read_whole
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject


@frozen
class GeminiInteractions:
    """`POST /interactions`: each request holds all steps, thoughts with their signatures. WIRES §6.

    With `store: false`, unless the request says what the provider keeps: then what it has is not sent again, though
    `segments` are those of all.

    A row's `dialect` says where a vendor or model strays. Its keys, with what holds when one is absent:

      api_revision          "2026-05-20": which schema is spoken
      sampling              names taken, of temperature, top_p, seed, stop: all; others do not exist on this wire
      efforts               ("low", "high"): accepted values of `thinking_level`; empty for a model without one
      structured            "json_schema"; or "json_object"; or "prompt": asked for in words
      media                 ("image", "document", "audio", "video"): kinds taken
      tool_choices          ("none", "any", "allowed_tools"): accepted
      strict                False; True if functions that may be strict are held to their schemas by "validated"
      hosted                (): kinds of tools that the vendor runs, of those in `HOSTED`
      service_tiers         (): accepted values
      keeps                 (): of chain, background: what the provider does beyond one request
      extra_body            {}: fields added to every body

    A hosted tool's `config` goes out as it is; but for `url_context` of web_search, which has pages read too, and for
    `deferred` of tool_search, the names of the functions that are only loaded once they were found.
    """

    @property
    def name(self) -> WireName:
        return "gemini_interactions"

    def encode(self, request: ModelRequest, model: ModelInfo, kept: Renderings, *, stream: bool) -> HttpCall:
        return request_call(request, model, kept, stream=stream)

    def decoder(self, model: ModelInfo) -> Decoder:
        return InteractionDecoder(model)

    def decode(self, body: JsonObject, model: ModelInfo) -> AssistantMessage:
        return read_whole(body, model)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return failure(status, headers, body)
