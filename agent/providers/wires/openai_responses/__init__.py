"""The OpenAI Responses wire."""

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
from treadle.agent.providers.wires.openai_responses.request import request_call
from treadle.agent.providers.wires.openai_responses.stream import ResponseDecoder, read_whole
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject


@frozen
class OpenAIResponses:
    """`POST /responses`: each request holds all, reasoning in encrypted form. WIRES §1, §10.

    With `store: false`, unless the request says what the provider keeps: then what it has is not sent again, though
    `segments` are those of all.

    The system prompt is sent as developer messages at the head of `input`, not as `instructions`: so each text is a
    piece of the cached prefix that a marker can close, and a notice later in the conversation has the same voice.

    A row's `dialect` says where a vendor or model strays. Its keys, with what holds when one is absent:

    Requests
      system_role          "developer"; or "system": the role of system texts and notices
      include              ("reasoning.encrypted_content",): what every request asks to be included
      sampling             names taken, of temperature, top_p, top_logprobs: all; others do not exist on this wire
      sampling_unless_reasoning   (): names refused while the model reasons
      efforts              (): accepted values of `reasoning.effort`; empty for a model that does not reason
      default_effort       "medium": the effort in force when none is asked for; "none" if reasoning is off then
      verbosity            False; True if `text.verbosity` is taken
      phase                False; True if `phase` may stand on messages that came from elsewhere
      service_tiers        (): accepted values
      structured           "json_schema"; or "json_object"; or "prompt": no `text.format` at all
      media                ("image", "document"): kinds taken
      freeform             False; True if `custom` tools are taken
      strict               False; True if functions may be `strict`
      hosted               (): kinds of tools that the vendor runs, of those in `HOSTED`
      hosted_types         {}: {kind: fields} of those that are called something else there
      tool_choices         ("none", "required"): accepted, of none, required, allowed_tools
      parallel             True: `parallel_tool_calls` is taken
      cache_key            False; True if `prompt_cache_key` is taken
      cache_retention      (): accepted values of `prompt_cache_retention`
      cache_options        (): accepted times of `prompt_cache_options`; empty sends none
      cache_marks          (): accepted times of a `prompt_cache_breakpoint`; empty sends none
      keeps                (): of chain, conversation, background: what the provider does beyond one request
      extra_body           {}: fields added to every body

    Replies
      cache_write          "unknown": the field of `CacheWrite` for written tokens whose time is not told

    A hosted tool's `config` goes out as it is; but for `deferred` of tool_search, the names of the functions that
    are only loaded once they were found. A call of a tool that was never declared, such as
    `multi_tool_use.parallel`, is an ordinary call: whoever runs it answers that there is no such tool.
    """

    @property
    def name(self) -> WireName:
        return "openai_responses"

    def encode(self, request: ModelRequest, model: ModelInfo, kept: Renderings, *, stream: bool) -> HttpCall:
        return request_call(request, model, kept, stream=stream)

    def decoder(self, model: ModelInfo) -> Decoder:
        return ResponseDecoder(model)

    def decode(self, body: JsonObject, model: ModelInfo) -> AssistantMessage:
        return read_whole(body, model)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return failure(status, headers, body)
