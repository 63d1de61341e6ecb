from __future__ import annotations

from typing import Literal

import pytest

from treadle.agent.build.offer import edits_by
from treadle.agent.config import Config, ToolSettings
from treadle.agent.providers.contract import ModelInfo
from treadle.agent.providers.dialects import gpt, responses

PLAIN = ModelInfo(id="m", wire="anthropic", vendor="v", endpoint="")
GPT = ModelInfo(
    id="m",
    wire="openai_responses",
    vendor="v",
    endpoint="",
    dialect=responses("low", "high")["openai_responses"],
)


def test_a_model_changes_files_with_what_it_does_best() -> None:
    assert edits_by(Config(), GPT) == {"patch"}
    assert edits_by(Config(), PLAIN) == {"edit"}
    assert gpt("low", "high")["openai_chat"]["edit_tool"] == "patch"


@pytest.mark.parametrize(
    ("chosen", "names"), [("edit", {"edit"}), ("patch", {"patch"}), ("both", {"edit", "patch"})]
)
def test_a_user_can_choose(chosen: Literal["edit", "patch", "both"], names: set[str]) -> None:
    config = Config(tools=ToolSettings(edit=chosen))
    assert [edits_by(config, info) for info in (GPT, PLAIN, None)] == [names] * 3


def test_for_no_model_in_particular_there_are_both() -> None:
    assert edits_by(Config()) == {"edit", "patch"}
