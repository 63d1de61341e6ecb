"""Claude and GPT where others than their makers serve them: at Vertex and Azure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from treadle.agent.mock.anthropic import VERSION, Anthropic
from treadle.agent.mock.anthropic_rules import STRICT_VERSION, blocks
from treadle.agent.mock.check import mapping, one_of, wrong
from treadle.agent.mock.contract import PATH, Asked
from treadle.agent.mock.jsontext import Json, elements, members
from treadle.agent.mock.openai_frame import require_bearer
from treadle.agent.mock.responses import Responses

_VERTEX: Final = "/vertex/v1/projects/{project}/locations/{location}/publishers/anthropic/models/{model}:"
_VERSION: Final = "anthropic_version"


class ClaudeOnVertex(Anthropic):
    """`POST …/models/MODEL:rawPredict` and `:streamRawPredict`: the version is in the body, the model in the path."""

    def __init__(self, verb: str) -> None:
        self.path = _VERTEX + verb
        self._streams = verb == "streamRawPredict"

    def admit(self, headers: Mapping[str, str]) -> None:
        """Require a token."""
        require_bearer(headers)

    def read(self, body: Json, headers: Mapping[str, str]) -> Asked:
        """Check a request and say what it asks. Raises Refused."""
        mapping(body, "")
        plain = dict(members(body))
        one_of("vertex-2023-10-16", STRICT_VERSION)(plain.pop(_VERSION, None), _VERSION)
        if "model" in plain:
            raise wrong("model", "Extra inputs are not permitted")
        if plain.get("stream", False) is not self._streams:
            raise wrong("stream", "does not fit the method")
        plain["model"] = headers[PATH].rpartition("/")[2].partition(":")[0]
        asked = super().read(plain, {VERSION: "2023-06-01"})
        for index, message in enumerate(elements(plain["messages"])):
            if any(members(block.get("source")).get("type") == "url" for block in blocks(members(message))):
                raise wrong(f"messages[{index}]", "URL sources are not supported")
        return asked


class ResponsesOnAzure(Responses):
    """`POST /openai/v1/responses`, with Azure's key."""

    path = "/azure/openai/v1/responses"

    def admit(self, headers: Mapping[str, str]) -> None:
        """Require a key or a token."""
        if not headers.get("api-key"):
            require_bearer(headers)


def rented_faces() -> tuple[ClaudeOnVertex | ResponsesOnAzure, ...]:
    """A face for every path."""
    return (ClaudeOnVertex("rawPredict"), ClaudeOnVertex("streamRawPredict"), ResponsesOnAzure())
