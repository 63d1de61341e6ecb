"""The models that take over from one another: `-m a,b,c`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from e2e.running import Home, Provider, new_home, provider

from treadle.agent.events import ModelChanged
from treadle.agent.log import load

CLAUDE, GPT, CHAT = "anthropic/claude-opus-5-5", "openai/gpt-6-sol", "mock/spare"
QUICK = ("-c", "connection.retries.attempts=2", "-c", "connection.retries.base=0.01")


WELL = "steps: [{text: Here., usage: {input: 1000, output: 100}}]"


@contextmanager
def serving(
    base: Path, claude: str, gpt: str = WELL, chat: str | None = None
) -> Generator[tuple[Home, list[Provider]]]:
    """Serve vendors, each by a script of its own, and yield a home that reaches them."""
    with ExitStack() as running:
        served: list[Provider] = []
        for name, script in (("claude", claude), ("gpt", gpt), ("chat", chat)):
            if script is not None:
                (base / name).mkdir()
                served.append(running.enter_context(provider(base / name, script)))
        yield (
            new_home(
                base,
                ANTHROPIC_BASE_URL=served[0].url,
                ANTHROPIC_API_KEY="key-anthropic",
                OPENAI_BASE_URL=f"{served[1].url}/v1",
                OPENAI_API_KEY="key-openai",
                TREADLE_MOCK_URL=served[-1].url,
            ),
            served,
        )


def asked(served: list[Provider]) -> list[int]:
    """How often each vendor was asked."""
    return [len(each.requests) if each.record.exists() else 0 for each in served]


def models(home: Home) -> list[str]:
    (session,) = home.sessions
    return [each.body.model for each in load(session).entries if isinstance(each.body, ModelChanged)]


def failing(*faults: str) -> str:
    return f"steps: [{{text: Here., usage: {{input: 1000, output: 100}}, faults: [{', '.join(faults)}]}}]"


DOWN = failing(*["{status: 503}"] * 2)


@pytest.mark.parametrize("fault", ["{status: 503}", "{no_done: true}"])
def test_the_next_model_answers_when_one_fails_after_its_retries(tmp_path: Path, fault: str) -> None:
    with serving(tmp_path, failing(fault, fault)) as (home, served):
        ran = home.run("-m", f"{CLAUDE},{GPT}", *QUICK, "Go.")
        assert asked(served) == [2, 1]
    assert (ran.code, ran.result["message"]) == (0, "Here.")
    assert models(home) == [GPT]
    assert f"treadle: {CLAUDE} cannot be had" in ran.err
    assert f"{GPT} goes on from here" in ran.err
    assert ran.result["cost_usd"] == pytest.approx((1000 * 2 + 100 * 10) / 1e6, rel=0.3)


def test_what_asking_again_does_not_mend_moves_on_at_once(tmp_path: Path) -> None:
    with serving(tmp_path, failing("{status: 404}")) as (home, served):
        assert home.run("-m", f"{CLAUDE},{GPT}", "Go.").code == 0
        assert asked(served) == [1, 1]
    assert models(home) == [GPT]


def test_an_address_where_nobody_answers_moves_on(tmp_path: Path) -> None:
    with serving(tmp_path, WELL) as (home, served):
        away = home.with_env(ANTHROPIC_BASE_URL="http://127.0.0.1:9")
        assert away.run("-m", f"{CLAUDE},{GPT}", *QUICK, "Go.").code == 0
        assert asked(served)[1] == 1


def test_each_model_of_a_chain_is_tried_in_turn_and_the_last_ones_error_ends_the_run(tmp_path: Path) -> None:
    with serving(tmp_path, DOWN, DOWN, DOWN) as (home, served):
        ran = home.run("-m", f"{CLAUDE},{GPT},{CHAT}", *QUICK, "Go.")
        assert asked(served) == [2, 2, 2]
    assert (ran.code, ran.result["outcome"]) == (2, "failed")
    assert models(home) == [GPT, CHAT]


def test_the_model_that_took_over_goes_on_and_each_is_paid_at_its_own_price(tmp_path: Path) -> None:
    usage = "usage: {input: 1000, cached: 0, written: 0, output: 100}"
    step = "calls: [{read: {path: a.txt}}], " + usage
    claude = f"steps: [{{{step}}}, {{{step}, faults: [{{status: 503}}, {{status: 503}}]}}]"
    gpt = f"steps: [{{{step}}}, {{{step}}}, {{text: Done., {usage}}}]"
    with serving(tmp_path, claude, gpt) as (home, served):
        (home.workspace / "a.txt").write_text("one\n", encoding="utf-8")
        ran = home.run("-m", f"{CLAUDE},{GPT}", *QUICK, "Go.")
        assert asked(served) == [3, 2]
    assert (ran.code, ran.result["message"], ran.result["steps"]) == (0, "Done.", 3)
    by_claude, by_gpt = 1000 * 4 + 100 * 20, 2 * (1000 * 2 + 100 * 10)
    assert ran.result["cost_usd"] == pytest.approx((by_claude + by_gpt) / 1e6)


@pytest.mark.parametrize(("fault", "code"), [("{status: 400}", 2), ("{status: 401}", 1)])
def test_a_request_or_a_key_that_is_wrong_does_not_move_on(tmp_path: Path, fault: str, code: int) -> None:
    with serving(tmp_path, failing(fault)) as (home, served):
        assert home.run("-m", f"{CLAUDE},{GPT}", "Go.").code == code
        assert asked(served) == [1, 0]


@pytest.mark.parametrize(
    ("chain", "hint"),
    [
        (f"{CLAUDE},opnai/gpt-6-sol", "did you mean openai"),
        (f"{CLAUDE},gpt-6-sol", "write VENDOR/MODEL"),
        (f"{CLAUDE},", "write VENDOR/MODEL"),
        (f"{CLAUDE},zai/glm-5.3", "There is no key for zai"),
    ],
)
def test_a_fallback_that_could_never_answer_is_a_usage_error_at_the_start(
    home: Home, chain: str, hint: str
) -> None:
    ran = home.with_env(ANTHROPIC_BASE_URL="http://127.0.0.1:9", ANTHROPIC_API_KEY="key").run(
        "-m", chain, "Go."
    )
    assert (ran.code, ran.result["outcome"], ran.result["steps"]) == (1, "usage", 0)
    assert hint in ran.complaint


def test_a_session_goes_on_with_the_model_that_took_over_and_with_those_after_it(tmp_path: Path) -> None:
    gpt = "steps: [{text: One.}, {text: Two., faults: [{status: 503}, {status: 503}]}]"
    with serving(tmp_path, DOWN, gpt, "steps: [{text: One.}, {text: Three.}]") as (home, served):
        chain = f'model = "{CLAUDE},{GPT},{CHAT}"'
        home.configure(f"{chain}\n[connection.retries]\nattempts = 2\nbase = 0.01\n")
        always = ("run", "--sandbox", "none", "--output", "stream-json")
        home.treadle(*always, "Go.")
        ran = home.treadle(*always, "--continue", "And on.")
        assert asked(served) == [2, 3, 1]
    assert (ran.code, ran.result["message"]) == (0, "Three.")
    assert models(home) == [GPT, CHAT]
