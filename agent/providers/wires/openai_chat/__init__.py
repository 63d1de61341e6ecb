"""The OpenAI Chat Completions wire, in every dialect that its followers speak."""

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
from treadle.agent.providers.wires.openai_chat.reply import read_whole
from treadle.agent.providers.wires.openai_chat.request import request_call
from treadle.agent.providers.wires.openai_chat.stream import ChatDecoder
from treadle.sandbox.frozen import frozen
from treadle.tools.contract import JsonObject


@frozen
class OpenAIChat:
    """`POST /chat/completions`. WIRES §2, §8 to §11.

    A row's `dialect` says where a vendor or model strays. Its keys, with what holds when one is absent:

    Requests
      max_tokens_key       "max_tokens"; newer OpenAI models want "max_completion_tokens"
      system_role          "system"; or "developer"
      single_system        False; True joins all system texts into one message
      sampling             {neutral name: body key} of what is taken; OpenAI's seven under their own names
      sampling_unless_reasoning   (): names refused while the model reasons
      zero_temperature     {}: body fields in place of a temperature of 0, as in {"do_sample": False}
      max_stop             4: how many stop sequences are taken
      efforts              (): accepted efforts for `reasoning_effort`; or {effort: body fields}
      default_effort       "medium": the effort in force when none is asked for; "none" if reasoning is off then
      verbosity            False; True if `verbosity` is taken
      service_tiers        (): accepted values
      structured           "json_schema"; or "json_object"; or "prompt": no response_format at all
      media                ("image",): kinds taken in user content, of image, document, audio, video
      tool_media           False; True if tool messages may hold media
      freeform             False; True if `custom` tools are taken
      strict               False; True if functions may be `strict`
      inline_defs          False; True puts `$defs` of tool schemas where they are referred to
      hosted               {kind: tool object} of tools that the vendor runs; options go into its inner object
      tool_search          {}: body fields that let deferred tools be searched; empty: it is a hosted tool, or none
      tool_choices         ("none", "required"): accepted, of none, required, allowed_tools
      parallel             True: `parallel_tool_calls` is taken
      cache_key            False; True if `prompt_cache_key` is taken, or the field in its place
      cache_header         "": the header that carries the cache key
      cache_retention      (): accepted values of `prompt_cache_retention`
      cache_options        (): accepted times of `prompt_cache_options`; empty sends none
      cache_marker         {key: object} put on the last part before a breakpoint; empty sends none
      cache_ttls           (): accepted `ttl` of a marker; empty sends none
      stream_usage         True: sends `stream_options.include_usage`
      reasoning_echo       "field": reasoning goes back as it came; "none": never
      reasoning_required   "": the field that every assistant message with calls must hold, if need be empty
      reply_only           (): fields of a reply's message that a request may not hold
      call_id_max          64: longer call ids are replaced
      call_id_length       0: any; else ids must be exactly so many letters and digits
      escape_tokens        False; True breaks `<|…|>` in what users and tools say
      extra_body           {}: fields added to every body

    Replies
      think_tags           True: a leading `<think>…</think>` in content is reasoning
      finish_optional      False; True if a stream may end without a `finish_reason`
      cache_write          "unknown": the field of `CacheWrite` that written tokens are counted in

    `Output.reasoning_summary` has no counterpart: this wire shows reasoning as the vendor sends it.
    """

    @property
    def name(self) -> WireName:
        return "openai_chat"

    def encode(self, request: ModelRequest, model: ModelInfo, kept: Renderings, *, stream: bool) -> HttpCall:
        return request_call(request, model, kept, stream=stream)

    def decoder(self, model: ModelInfo) -> Decoder:
        return ChatDecoder(model)

    def decode(self, body: JsonObject, model: ModelInfo) -> AssistantMessage:
        return read_whole(body, model)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return failure(status, headers, body)
