"""An MCP server that the provider connects to, named in one way for every wire."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from wires.cases import HELLO
from wires.rows import WIRES

from treadle.agent.providers.contract import HttpCall, InvalidRequest, ModelInfo, ModelRequest, Renderings
from treadle.tools.contract import Hosted, JsonObject

URL = "https://example.org/mcp"
SERVER: JsonObject = {"name": "docs", "url": URL}
WHOLE: JsonObject = {**SERVER, "token_env": "DOCS", "tools": ["find"]}
ROWS = {
    "responses": WIRES["responses.gpt_6"],
    "anthropic": WIRES["anthropic.sonnet"],
    "gemini": WIRES["gemini.flash"],
    "interactions": WIRES["interactions.flash"],
}


def http(name: str, config: JsonObject, **dialect: Any) -> HttpCall:
    row = ROWS[name]
    model: ModelInfo = replace(row.model, dialect={**row.model.dialect, **dialect})
    request = ModelRequest(system=(), tools=(Hosted(kind="mcp", config=config),), messages=(HELLO,))
    return row.wire.encode(request, model, Renderings(), stream=True)


def test_responses_is_told_where_and_that_nobody_approves() -> None:
    named = {"type": "mcp", "server_label": "docs", "server_url": URL, "require_approval": "never"}
    body = json.loads(http("responses", SERVER).body)
    assert body["tools"] == [named]
    body = json.loads(http("responses", {**WHOLE, "defer_loading": True}).body)
    assert body["tools"] == [
        {**named, "authorization": "${DOCS}", "allowed_tools": ["find"], "defer_loading": True}
    ]


def test_anthropic_is_told_of_the_server_and_of_its_toolset_under_a_beta() -> None:
    call = http("anthropic", SERVER)
    body = json.loads(call.body)
    assert body["mcp_servers"] == [{"type": "url", "url": URL, "name": "docs"}]
    assert body["tools"] == [{"type": "mcp_toolset", "mcp_server_name": "docs"}]
    assert "mcp-client-2025-11-20" in call.headers["anthropic-beta"]
    body = json.loads(http("anthropic", WHOLE).body)
    assert body["mcp_servers"][0]["authorization_token"] == "${DOCS}"
    assert body["tools"] == [
        {
            "type": "mcp_toolset",
            "mcp_server_name": "docs",
            "default_config": {"enabled": False},
            "configs": {"find": {"enabled": True}},
        }
    ]


def test_gemini_is_told_of_a_transport_but_of_no_single_tools() -> None:
    place = {"url": URL, "headers": {"Authorization": "Bearer ${DOCS}"}}
    body = json.loads(http("gemini", {**SERVER, "token_env": "DOCS"}, hosted=("mcp",)).body)
    assert body["tools"] == [{"mcpServers": [{"name": "docs", "streamableHttpTransport": place}]}]
    body = json.loads(http("gemini", SERVER, hosted=("mcp",)).body)
    assert body["tools"] == [{"mcpServers": [{"name": "docs", "streamableHttpTransport": {"url": URL}}]}]
    with pytest.raises(InvalidRequest, match="some of a server's tools"):
        http("gemini", WHOLE, hosted=("mcp",))


def test_interactions_is_told_of_a_server() -> None:
    (server,) = json.loads(http("interactions", {**SERVER, "token_env": "DOCS"}, hosted=("mcp",)).body)[
        "tools"
    ]
    assert (server["type"], server["name"], server["url"]) == ("mcp_server", "docs", URL)
    assert server["headers"] == {"Authorization": "Bearer ${DOCS}"}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("config", [{}, {"url": URL}, {"url": 1, "name": "docs"}, {"name": 1, "url": URL}])
def test_a_server_without_a_name_or_an_address_is_refused(name: str, config: JsonObject) -> None:
    with pytest.raises(InvalidRequest, match="name and a url"):
        http(name, config, **({} if name == "anthropic" else {"hosted": ("mcp",)}))


def test_a_config_in_the_vendors_own_words_goes_out_as_it_is_where_the_wire_has_one_place_for_it() -> None:
    own = {"server_label": "docs", "connector_id": "connector_gmail"}
    assert json.loads(http("responses", own).body)["tools"] == [{"type": "mcp", **own}]
    with pytest.raises(InvalidRequest, match="name and a url"):
        http("anthropic", own)


def test_a_vendor_of_claude_without_the_connector_refuses() -> None:
    with pytest.raises(InvalidRequest, match="runs no mcp"):
        http("anthropic", SERVER, hosted={"mcp": None})


def test_files_cannot_be_searched_in_responses_without_saying_which() -> None:
    row = ROWS["responses"]
    request = ModelRequest(system=(), tools=(Hosted(kind="file_search"),), messages=(HELLO,))
    with pytest.raises(InvalidRequest, match="needs vector_store_ids"):
        row.wire.encode(request, row.model, Renderings(), stream=True)
