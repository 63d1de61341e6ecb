"""A script is read as it is written, and what is wrong with it is said in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from treadle.agent.mock.script import (
    CutFault,
    NoDoneFault,
    ScriptError,
    SilentFault,
    StallFault,
    StatusFault,
    StreamErrorFault,
    load,
    parse,
)

WHOLE = """
model: demo-1
pace: {first: 0.5, rate: 20}
steps:
  - reasoning: "The test fails in totals; look there."
    text: "I will run the tests first."
    calls:
      - shell: {command: "python -m pytest -q"}
      - read:
      - {name: edit, arguments: {path: a.py, edits: [{old: x, new: y}]}, id: call_7}
      - {name: read, raw: '{"path": '}
    usage: {input: 1000, cached: 800, output: 50, reasoning: 10}
  - text: enough
    finish: length
    pace: {first: 0.2}
    when: {last_result: FAILED}
    faults:
      - {status: 429, headers: {retry-after: "0"}, body: {error: {message: slow down}}}
      - {status: 503}
      - {stream_error: {message: overloaded}, after: 3}
      - {stall: 30, after: 2}
      - {cut: 150}
      - {silent: 30}
      - {body: "<html>", status: 200}
      - {body: "<html>"}
      - {no_done: true}
then: repeat
"""


def test_every_key_of_the_format_is_read() -> None:
    script = parse(WHOLE)
    first, second = script.steps
    assert (script.model, script.then, script.pace.first, script.pace.rate) == ("demo-1", "repeat", 0.5, 20)
    assert [(call.name, call.text, call.id) for call in first.calls] == [
        ("shell", '{"command": "python -m pytest -q"}', None),
        ("read", "{}", None),
        ("edit", '{"path": "a.py", "edits": [{"old": "x", "new": "y"}]}', "call_7"),
        ("read", '{"path": ', None),
    ]
    assert first.usage.model_dump(exclude_none=True) == {
        "input": 1000,
        "cached": 800,
        "output": 50,
        "reasoning": 10,
    }
    assert second.when is not None
    assert second.when.last_result == "FAILED"
    assert second.faults == (
        StatusFault(status=429, headers={"retry-after": "0"}, body={"error": {"message": "slow down"}}),
        StatusFault(status=503),
        StreamErrorFault(stream_error={"message": "overloaded"}, after=3),
        StallFault(stall=30, after=2),
        CutFault(cut=150),
        SilentFault(silent=30),
        StatusFault(body="<html>"),
        StatusFault(body="<html>"),
        NoDoneFault(no_done=True),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "s.yaml: a script is a mapping with the key `steps`"),
        ("- text: hi", "s.yaml: a script is a mapping with the key `steps`"),
        ("model: m", "s.yaml: steps: this key is required"),
        ("steps: [{txt: hi}]", "s.yaml: steps[0].txt: unknown key"),
        ("steps: []\nthen: stop", "s.yaml: then: Input should be 'end', 'repeat' or 'error'"),
        ("steps: []\nthen: repeat", "s.yaml: `then: repeat` needs a step to repeat"),
        ("steps: [{text: hi}, {text: 5}]", "s.yaml: steps[1].text: Input should be a valid string"),
        (
            "steps: [{calls: [read]}]",
            "s.yaml: steps[0].calls[0]: write a call as `NAME: {ARGUMENTS}` or with `name` and `arguments`",
        ),
        (
            "steps: [{calls: [{read: {}, edit: {}}]}]",
            "s.yaml: steps[0].calls[0]: a call in the short form has one key, the tool's name",
        ),
        (
            "steps: [{calls: [{name: a, arguments: {}, raw: ''}]}]",
            "s.yaml: steps[0].calls[0]: `arguments` and `raw` exclude each other",
        ),
        (
            "steps: [{calls: [{read: path}]}]",
            "s.yaml: steps[0].calls[0].arguments: Input should be a valid dictionary",
        ),
        (
            "steps: [{faults: [{boom: 1}]}]",
            "s.yaml: steps[0].faults[0]: a fault is one of"
            " stream_error, stall, cut, silent, no_done, forget, html_413, status, body",
        ),
        (
            "steps: [{faults: [{stall: 1, after: -1}]}]",
            "s.yaml: steps[0].faults[0].after: Input should be greater than or equal to 0",
        ),
        ("steps: [{faults: [{cut: 5, after: 2}]}]", "s.yaml: steps[0].faults[0].after: unknown key"),
        (
            "steps: [{pace: {rate: .inf}}]",
            "s.yaml: steps[0].pace.rate: Input should be a finite number",
        ),
    ],
)
def test_a_mistake_is_named_with_its_file_step_and_key(text: str, told: str) -> None:
    with pytest.raises(ScriptError) as caught:
        parse(text, "s.yaml")
    assert str(caught.value) == told


def test_text_that_is_no_yaml_is_one_line_with_its_place() -> None:
    with pytest.raises(ScriptError) as caught:
        parse("steps:\n  - text: 'open", "s.yaml")
    assert str(caught.value).startswith("s.yaml: not YAML: ")
    assert "line 2" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("content", "told"), [(None, "No such file"), (b"\xff\xfe\x00", "not UTF-8")])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "s.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ScriptError, match=told) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
