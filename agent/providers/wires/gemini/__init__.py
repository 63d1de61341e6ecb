"""The Gemini generateContent wire."""

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
from treadle.agent.providers.wires.gemini.request import request_call
from treadle.agent.providers.wires.gemini.stream import ContentDecoder, read_whole
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject


@frozen
class Gemini:
    """`POST /models/MODEL:generateContent` and `:streamGenerateContent`, at Google and on Vertex. WIRES §5, §7.

    Each part of a reply goes back as it came, for thought signatures are bound to their parts. Only the pieces in
    which a stream brings an unsigned text are put together. Calls that come without an id get a derived one, and
    their results are told apart by their order.

    A row's `dialect` says where a vendor or model strays. Its keys, with what holds when one is absent:

      sampling              names taken, of those in `SAMPLING`: all
      max_stop              5: how many stop sequences are taken
      thinking              "level"; or "budget" (of tokens), "none"
      efforts               ("low", "high"): accepted levels; of a budget, all from "minimal" to "max"
      budget                (128, 24576): the least and the most tokens of a budget
      thinking_off          False; True where a budget may be 0
      signatures            True: rebuilt calls carry the placeholder that skips the check of signatures
      structured            "json_schema"; or "json_object"; or "prompt": asked for in words
      structured_with_tools True; False if JSON is refused beside functions: then it is asked for in words
      media                 ("image", "document", "audio", "video"): kinds taken
      result_media          ("image/png", "image/jpeg", "image/webp", "application/pdf"): types of media that a
                            result may hold; others follow all results
      modes                 ("NONE", "ANY", "VALIDATED"): modes of function calling that are taken
      strict                False; True if functions that may be strict are held to their schemas by "VALIDATED"
      call_ids              True: rebuilt calls and their results carry an id
      hosted                (): kinds of tools that the vendor runs, of those in `HOSTED`
      combined              False; True if hosted tools may stand beside functions
      told_hosted           False; True if the vendor tells of hosted calls when it is asked to
      service_tiers         (): accepted values
      extra_body            {}: fields added to every body

    A hosted tool's `config` goes out as it is; but for `url_context` of web_search, which has pages read too.
    """

    @property
    def name(self) -> WireName:
        return "gemini"

    def encode(self, request: ModelRequest, model: ModelInfo, kept: Renderings, *, stream: bool) -> HttpCall:
        return request_call(request, model, kept, stream=stream)

    def decoder(self, model: ModelInfo) -> Decoder:
        return ContentDecoder(model)

    def decode(self, body: JsonObject, model: ModelInfo) -> AssistantMessage:
        return read_whole(body, model)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return failure(status, headers, body)
