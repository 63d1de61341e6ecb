"""`treadle cost` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from unit.agent.headless import Treadle

LONG = {"calls": [{"read": {"path": "long.txt"}}]}


def session(treadle: Treadle) -> str:
    (treadle.workspace / "long.txt").write_text("word " * 2_000, encoding="utf-8")
    treadle.script()
    ran = treadle.run(steps=[{**LONG, "usage": {}}, {**LONG, "usage": {}}, {"text": "Done.", "usage": {}}])
    assert ran.code == 0
    return treadle.sessions[-1].stem


def test_a_report_tells_each_request_and_the_sum(treadle: Treadle) -> None:
    ran = treadle("cost", "report", session(treadle), "--json")
    *lines, total = map(json.loads, ran.out.splitlines())
    assert [line["kind"] for line in lines] == ["step"] * 3
    assert all(line["up"] > 1_000 and line["down"] > 100 for line in lines)
    assert lines[1]["read"] >= 1_024
    for name in ("read", "written", "fresh", "output", "up", "down"):
        assert total[name] == sum(line[name] for line in lines)
    assert total["cost_usd"] == pytest.approx(sum(line["cost_usd"] for line in lines))


def test_what_was_predicted_is_what_was_billed(treadle: Treadle) -> None:
    ran = treadle("cost", "report", session(treadle), "--json")
    for line in list(map(json.loads, ran.out.splitlines()))[:-1]:
        assert line["predicted"] == {name: line[name] for name in ("read", "written", "fresh")}
        assert line["missed"] is None


def test_a_report_without_a_terminal_is_plain_lines(treadle: Treadle) -> None:
    out = treadle("cost", "report", session(treadle)).out
    assert out.splitlines()[0].split("\t")[:4] == ["entry", "kind", "model", "read"]
    assert "\x1b" not in out
    assert "3 requests" in out.splitlines()[-1]


def test_a_report_of_no_session_is_bad_usage(treadle: Treadle) -> None:
    assert treadle("cost", "report", "20010101-000000-abcdef").code == 1


def test_a_plan_compares_models_without_a_key(treadle: Treadle) -> None:
    models = ("anthropic/claude-opus-5-5", "deepseek/deepseek-v4-flash")
    ran = treadle("cost", "plan", "Go.", "-m", models[0], "-m", models[1], "--steps", "10", "--json")
    dear, cheap = map(json.loads, ran.out.splitlines())
    assert (dear["model"], cheap["model"]) == models
    assert dear["cost_usd"] > cheap["cost_usd"] > 0
    assert dear["output"] == 6_000


def test_a_file_of_jobs_is_planned_as_a_whole(treadle: Treadle, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text('"Go."\n{"prompt": "Go."}\n', encoding="utf-8")
    one, two = (
        json.loads(treadle("cost", "plan", job, "-m", "mock/m", "--json").out) for job in ("Go.", str(jobs))
    )
    assert two["cost_usd"] == pytest.approx(2 * one["cost_usd"])


@pytest.mark.parametrize("text", ["", "{}", "nonsense"])
def test_a_file_without_jobs_is_bad_usage(treadle: Treadle, tmp_path: Path, text: str) -> None:
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text(text, encoding="utf-8")
    ran = treadle("cost", "plan", str(jobs), "-m", "mock/m")
    assert ran.code == 1
    assert "jobs.jsonl" in ran.err


def test_a_plan_without_a_model_says_so(treadle: Treadle) -> None:
    assert "no model is chosen" in treadle("cost", "plan", "Go.").err
    assert "nonsuch" in treadle("cost", "plan", "Go.", "-m", "nonsuch/m").err


def test_a_step_that_would_go_beyond_the_cost_limit_is_not_taken(treadle: Treadle) -> None:
    ran = treadle.run("--max-cost", "0.000001", steps=[{"text": "Done."}])
    assert (ran.code, ran.result["limit"], ran.result["steps"]) == (3, "cost", 0)
    assert treadle.bodies == []
