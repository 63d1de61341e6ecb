"""The legacy Completions wire of OpenAI and its followers: a prompt in, text out."""

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
from treadle.agent.providers.wires.openai_completions.reply import CompletionDecoder, read_whole
from treadle.agent.providers.wires.openai_completions.request import request_call
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject


@frozen
class OpenAICompletions:
    r"""`POST /completions`, for instruct and base models. WIRES §2.3.

    The conversation is written down as one text, turn after turn, and the model continues it. There are no tools, no
    media and no reasoning. A row's `dialect` says where a vendor or model strays. Its keys, with what holds when one
    is absent:

      turns            {role: template with "{text}"} for system, user, assistant and result (of a tool, in a history
                       that another model began); what is not there is written as `prompts/wires/turn_*.md` say
      turn_stops       ("\nUser:",): sequences at which the model would go on in another's name
      max_stop         4: how many stop sequences are taken, those of `turn_stops` first
      max_tokens       1024: sent when neither the request nor the model's row says more; the API's own default is 16
      sampling         {neutral name: body key} of what is taken; OpenAI's seven, where `top_logprobs` is "logprobs"
      max_logprobs     5
      stream_usage     True: sends `stream_options.include_usage`
      finish_optional  False; True if a stream may end without a `finish_reason`
      extra_body       {}: fields added to every body
    """

    @property
    def name(self) -> WireName:
        return "openai_completions"

    def encode(self, request: ModelRequest, model: ModelInfo, kept: Renderings, *, stream: bool) -> HttpCall:
        return request_call(request, model, kept, stream=stream)

    def decoder(self, model: ModelInfo) -> Decoder:
        return CompletionDecoder(model)

    def decode(self, body: JsonObject, model: ModelInfo) -> AssistantMessage:
        return read_whole(body, model)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return failure(status, headers, body)
