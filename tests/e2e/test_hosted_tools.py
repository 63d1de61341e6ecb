"""Tools that the provider runs: chosen in the config, kept, sent back, and what they make."""

from __future__ import annotations

import json
import stat
from base64 import b64decode
from pathlib import Path

import pytest
from e2e.running import Home, Object, Provider, new_home, provider

GPT, CLAUDE = "openai/gpt-6-sol", "anthropic/claude-opus-5-5"
SEARCH = "hosted.web_search=true"


def home_for(base: Path, served: Provider) -> Home:
    return new_home(
        base,
        ANTHROPIC_BASE_URL=served.url,
        ANTHROPIC_API_KEY="key-anthropic",
        OPENAI_BASE_URL=f"{served.url}/v1",
        OPENAI_API_KEY="key-openai",
        TREADLE_MOCK_URL=served.url,
        DOCS_TOKEN="token-of-docs",
    )


def items(lines: list[Object], kind: str) -> list[Object]:
    return [
        line["item"] for line in lines if line["type"] == "item.completed" and line["item"]["type"] == kind
    ]


@pytest.mark.parametrize("model", [GPT, CLAUDE])
def test_a_search_is_shown_kept_and_sent_back_as_it_came(tmp_path: Path, model: str) -> None:
    script = """
steps:
  - {reasoning: I must look., hosted: [{web_search: {query: tides}}], calls: [{glob: {pattern: "*"}}]}
  - {text: Twice a day.}
"""
    with provider(tmp_path, script) as served:
        home = home_for(tmp_path, served)
        ran = home.run("-m", model, "-c", SEARCH, "When?")
        requests = served.requests
    assert (ran.code, [request["status"] for request in requests]) == (0, [200, 200]), ran.err
    (search,) = items(ran.lines, "web_search")
    assert (search["query"], search["status"]) == ("tides", "completed")
    assert search["sources"] == ["https://example.org/mock"]
    body = requests[1]["body"]
    assert ("web_search_call" if model == GPT else "web_search_tool_result") in body
    first, second = (json.loads(request["body"]) for request in requests)
    assert first["tools"] == second["tools"]
    assert any(str(tool.get("type", "")).startswith("web_search") for tool in first["tools"])


def test_a_picture_that_the_model_made_is_saved_beside_the_session_and_listed(tmp_path: Path) -> None:
    script = "steps: [{hosted: [{image_generation: {prompt: a dot}}], text: Here it is.}]"
    with provider(tmp_path, script) as served:
        home = home_for(tmp_path, served)
        ran = home.run("-m", GPT, "--tools", "none", "-c", "hosted.image_generation=true", "Draw.")
    (artifact,) = ran.result["artifacts"]
    picture = Path(artifact["path"])
    assert (ran.code, artifact["mime"]) == (0, "image/png")
    assert picture.is_relative_to(home.sessions[0].with_suffix(""))
    assert picture.read_bytes().startswith(b64decode("iVBORw0KGgo="))
    assert stat.S_IMODE(picture.stat().st_mode) == 0o600
    (drawn,) = items(ran.lines, "tool_call")
    assert (drawn["name"], drawn["arguments"]) == ("image_generation", "a dot")


def test_pictures_are_copied_to_the_output_folder_in_place_of_those_of_an_earlier_run(tmp_path: Path) -> None:
    script = "steps: [{hosted: [{image_generation: {prompt: a dot}}], text: Here it is.}]"
    out = tmp_path / "out"
    with provider(tmp_path, script) as served:
        home = home_for(tmp_path, served)
        chosen = ("-m", GPT, "--tools", "none", "--output-dir", str(out))
        first = home.run(*chosen, "-c", "hosted.image_generation=true", "Draw.")
        picture = Path(first.result["artifacts"][0]["path"])
        (copied,) = (out / "artifacts").iterdir()
        assert (copied.name, copied.read_bytes()) == (picture.name, picture.read_bytes())
        assert stat.S_IMODE(copied.stat().st_mode) == 0o600
        (out / "artifacts" / "mine.txt").touch()
        home.run("-m", "mock/m", "--tools", "none", "--output-dir", str(out), "Say.")
    assert [each.name for each in (out / "artifacts").iterdir()] == ["mine.txt"]


def test_an_ephemeral_session_says_that_it_keeps_no_picture(tmp_path: Path) -> None:
    script = "steps: [{hosted: [{image_generation: {}}], text: Here it is.}]"
    with provider(tmp_path, script) as served:
        home = home_for(tmp_path, served)
        ran = home.run("-m", GPT, "--ephemeral", "-c", "hosted.image_generation=true", "Draw.")
    assert (ran.code, ran.result["artifacts"]) == (0, [])
    assert "ephemeral" in ran.err


def test_every_hosted_tool_of_responses_runs_and_goes_back(tmp_path: Path) -> None:
    script = """
steps:
  - hosted:
      - web_search: {query: tides}
      - file_search: {query: plan}
      - code_interpreter: {code: print(1)}
      - mcp: {name: find}
      - tool_search: {paths: [git]}
      - image_generation: {prompt: a dot}
    calls: [{glob: {pattern: "*"}}]
  - {text: Done.}
"""
    kinds = ("web_search", "code_interpreter", "image_generation", "tool_search")
    chosen = [part for kind in kinds for part in ("-c", f"hosted.{kind}=true")]
    chosen += ["-c", 'hosted.file_search={vector_store_ids=["vs_1"]}']
    chosen += ["-c", 'hosted.mcp={name="docs", url="https://example.org/mcp", token_env="DOCS_TOKEN"}']
    with provider(tmp_path, script) as served:
        home = home_for(tmp_path, served)
        ran = home.run("-m", GPT, *chosen, "Go.")
        requests = served.requests
        (session,) = home.sessions
        kept = session.read_text(encoding="utf-8")
        shown = home.treadle("debug", "request", "-m", GPT, *chosen, "Go.")
    assert (ran.code, [request["status"] for request in requests]) == (0, [200, 200]), ran.err
    sent = json.loads(requests[1]["body"])
    back = [item["type"] for item in sent["input"] if item["type"].endswith(("_call", "search_output"))]
    assert back == [
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "mcp_call",
        "tool_search_call",
        "tool_search_output",
        "image_generation_call",
        "function_call",
    ]
    (server,) = [tool for tool in sent["tools"] if tool["type"] == "mcp"]
    assert server == {
        "type": "mcp",
        "server_label": "docs",
        "server_url": "https://example.org/mcp",
        "require_approval": "never",
        "authorization": "token-of-docs",
    }
    assert "token-of-docs" not in kept + ran.out + ran.err + shown.out
    assert "${DOCS_TOKEN}" in shown.out


def test_an_mcp_server_of_anthropics_connector_is_named_beside_its_toolset(tmp_path: Path) -> None:
    script = (
        "steps: [{hosted: [{mcp: {name: find}}, {code_interpreter: {}}, {tool_search: {}}], text: Found.}]"
    )
    chosen = ("-c", 'hosted.mcp={name="docs", url="https://example.org/mcp", tools=["find"]}')
    chosen += ("-c", "hosted.code_interpreter=true", "-c", "hosted.tool_search=true")
    with provider(tmp_path, script) as served:
        ran = home_for(tmp_path, served).run("-m", CLAUDE, *chosen, "Go.")
        (request,) = served.requests
    sent = json.loads(request["body"])
    assert (ran.code, request["status"]) == (0, 200), ran.err
    assert sent["mcp_servers"] == [{"type": "url", "url": "https://example.org/mcp", "name": "docs"}]
    assert [item["name"] for item in items(ran.lines, "tool_call")] == [
        "mcp",
        "code_interpreter",
        "tool_search",
    ]


@pytest.mark.parametrize(
    ("model", "chosen", "complaint"),
    [
        (CLAUDE, "hosted.image_generation=true", "anthropic runs no image_generation"),
        (GPT, "hosted.computer_use=true", "needs a screen"),
        ("mock/any", SEARCH, "mock does not run web_search"),
        (f"{GPT},mock/any", SEARCH, "mock does not run web_search"),
        (GPT, "hosted.web_serch=true", "hosted.web_serch"),
        (GPT, "hosted.mcp=true", "name and a url"),
        (GPT, "hosted.file_search=true", "vector_store_ids"),
        (GPT, 'hosted.mcp={name="d", url="https://e.org", token_env="NO_SUCH"}', "NO_SUCH"),
    ],
)
def test_a_tool_that_the_vendor_does_not_run_is_a_usage_error_before_any_request(
    tmp_path: Path, model: str, chosen: str, complaint: str
) -> None:
    with provider(tmp_path, None) as served:
        home = home_for(tmp_path, served)
        ran = home.run("-m", model, "-c", chosen, "Go.")
        assert not served.record.exists() or not served.requests
    assert (ran.code, ran.result["outcome"]) == (1, "usage")
    assert complaint in ran.complaint
    assert not home.sessions


def test_hosted_tools_chosen_later_begin_an_epoch_and_say_what_it_costs(tmp_path: Path) -> None:
    script = "steps: [{text: Hello.}, {hosted: [{web_search: {query: x}}], text: Found.}, {text: Still.}]"
    with provider(tmp_path, script) as served:
        home = home_for(tmp_path, served)
        home.run("-m", GPT, "Hello.")
        ran = home.run("-m", GPT, "--continue", "-c", SEARCH, "Search.")
        after = home.run("-m", GPT, "--continue", "And?")
        bodies = served.bodies
    assert [ran.code, after.code] == [0, 0], ran.err
    assert "other tools are run by the provider now: about" in ran.err
    assert [any(tool["type"] == "web_search" for tool in body["tools"]) for body in bodies] == [
        False,
        True,
        True,
    ]
