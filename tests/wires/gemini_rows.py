"""Models that speak Gemini's generateContent, in the dialects of the catalogue, and whole replies of theirs."""

from __future__ import annotations

from typing import Any, Final

from treadle.agent.providers import dialects
from treadle.agent.providers.contract import Dialect, ModelInfo
from treadle.tools.contract import JsonObject


def _model(key: str, *parts: Dialect, vendor: str = "gemini") -> ModelInfo:
    dialect = {name: value for part in parts for name, value in part.items()}
    return ModelInfo(id=key, wire="gemini", vendor=vendor, endpoint="e1", dialect=dialect)


MODELS: Final[dict[str, ModelInfo]] = {
    "gemini": _model("gemini-next", {}),
    "gemini.flash": _model("gemini-3.8-flash", dialects.GEMINI["gemini"], dialects.GEMINI_3_FLASH["gemini"]),
    "gemini.pro_2_5": _model("gemini-2.5-pro", dialects.GEMINI["gemini"], dialects.GEMINI_2_5_PRO["gemini"]),
    "gemini.vertex": _model(
        "gemini-2.5-flash",
        dialects.VERTEX["gemini"],
        dialects.GEMINI_2_5_FLASH["gemini"],
        vendor="vertex",
    ),
    "gemini.host": _model(
        "gemma-4",
        {
            "sampling": ("temperature", "stop"),
            "max_stop": 2,
            "thinking": "none",
            "signatures": False,
            "structured": "prompt",
            "media": ("image",),
            "result_media": (),
            "modes": (),
            "call_ids": False,
            "extra_body": {
                "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
            },
        },
        vendor="somewhere",
    ),
}


def usage(**counts: Any) -> JsonObject:
    return {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15, **counts}


def whole(*parts: JsonObject, stop: str | None = "STOP", **candidate: Any) -> JsonObject:
    ended = {} if stop is None else {"finishReason": stop}
    return {
        "candidates": [
            {"content": {"parts": list(parts), "role": "model"}, **ended, "index": 0, **candidate}
        ],
        "usageMetadata": usage(),
        "modelVersion": "served-1",
        "responseId": "r1",
    }


def text(said: str, **more: Any) -> JsonObject:
    return {"text": said, **more}


def wants(name: str = "read", args: Any = None, **more: Any) -> JsonObject:
    call = {"name": name, "args": {"path": "a.py"} if args is None else args}
    return {"functionCall": {**call, **{key: more.pop(key) for key in ("id",) if key in more}}, **more}


SIGNED: Final = {"thoughtSignature": "c2lnbmF0dXJl"}
THOUGHT: Final = text("Hm — é.", thought=True)
DOT: Final = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}

REPLIES: Final[dict[str, dict[str, JsonObject]]] = {
    "gemini": {
        "text": whole(text("Hello é."), text(""), text("Again.")),
        "calls_without_ids": whole(wants(**SIGNED), wants(), wants("mark", {})),
        "arguments_left_out": whole({"functionCall": {"name": "read"}}),
        "one_id_for_two_calls": whole(wants(id="c1"), wants(id="c1")),
        "length": whole(text("I was ab"), stop="MAX_TOKENS"),
        "nothing": {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {}},
        "reason_unknown": whole(text("Odd."), stop="ESCALATION"),
        "long_but_without_a_token": whole(text("On and"), stop="CONTINUATION"),
        "logprobs": whole(
            text("Hi."),
            logprobsResult={
                "chosenCandidates": [
                    {"token": "Hi", "logProbability": -0.25, "tokenId": 1},
                    {"token": ".", "logProbability": None},
                ],
                "topCandidates": [
                    {
                        "candidates": [
                            {"token": "Hi", "logProbability": -0.25},
                            {"token": "Yo", "logProbability": -3},
                        ]
                    }
                ],
            },
        ),
    },
    "gemini.flash": {
        "parallel_calls": whole(
            THOUGHT, text("Both.", **SIGNED), wants(id="c1", **SIGNED), wants("read", {"n": [1.50]}, id="c2")
        ),
        "signature_in_an_empty_text": whole(text("Done."), text("", **SIGNED)),
        "signature_alone": whole(text("Done."), dict(SIGNED)),
        "signed_texts": whole(text("One.", **SIGNED), text("Two.", **SIGNED), text("Three.")),
        "unknown_fields": whole(
            text("Odd.", partMetadata={"k": 1}, future=[None]), {"hologram": {"depth": 3}, "thought": True}
        ),
        "picture": whole(
            DOT | {**SIGNED}, {"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.org/a"}}
        ),
        "ran_code": whole(
            {"executableCode": {"language": "PYTHON", "code": "print(1)"}, **SIGNED},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
            {"executableCode": {"id": "x2", "language": "PYTHON", "code": "1/0"}},
            {"codeExecutionResult": {"id": "x2", "outcome": "OUTCOME_FAILED", "output": "ZeroDivisionError"}},
            text("Done."),
        ),
        "searched": whole(
            {
                "toolCall": {"id": "t1", "toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["tides"]}},
                **SIGNED,
            },
            {"toolResponse": {"id": "t1", "toolType": "GOOGLE_SEARCH_WEB", "response": {"found": 1}}},
            {"toolCall": {"id": "t2", "toolType": "URL_CONTEXT"}},
            {"toolResponse": {"id": "t2", "toolType": "URL_CONTEXT"}},
            text("At noon.", **SIGNED),
            groundingMetadata={
                "webSearchQueries": ["tides"],
                "groundingChunks": [
                    {"web": {"uri": "https://example.org/tides", "title": "Tides"}},
                    {"retrievedContext": {"uri": "gs://b/a"}},
                    {},
                ],
                "groundingSupports": [{"segment": {"text": "noon"}, "groundingChunkIndices": [0]}, {}],
            },
            urlContextMetadata={"urlMetadata": [{"retrievedUrl": "https://example.org/tides"}]},
            citationMetadata={"citations": [{"uri": "https://example.org/c", "title": "C"}]},
        ),
        "continued": whole(text("On and"), stop="CONTINUATION", continuationToken="dG9rZW4="),
        "counted": whole(
            text("Hi."),
        )
        | {
            "usageMetadata": usage(
                cachedContentTokenCount=4,
                thoughtsTokenCount=7,
                toolUsePromptTokenCount=3,
                promptTokensDetails=[{"modality": "TEXT", "tokenCount": 10}],
            )
        },
    },
    "gemini.pro_2_5": {
        "searched_without_being_told": whole(
            text("At noon."), groundingMetadata={"webSearchQueries": ["tides"]}
        ),
        "calls": whole(text("I look."), wants(), wants()),
        "filtered": whole(stop="SAFETY", finishMessage="Against the policy."),
    },
}
