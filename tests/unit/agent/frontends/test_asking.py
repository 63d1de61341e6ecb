from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import anyio
import pytest
from unit.agent.terminal import users_terminal

from treadle.agent.frontends.asking import Asker, CommandAsker, TerminalAsker, asker_for
from treadle.agent.permit import Allowed, Refused
from treadle.sandbox.contract import Access
from treadle.tools.contract import ToolCall

pytestmark = pytest.mark.anyio
ENV = {"PATH": os.defpath}
CALL = ToolCall(id="c1", name="shell", arguments='{"command": "make"}')
ACCESS = Access("shell", runs=("make",))


async def ask(
    asker: Asker, *typed: str, access: Access = ACCESS, reason: str = "why"
) -> tuple[Allowed | Refused, str]:
    """Put a question and type something whenever an answer is waited for; nothing closes the terminal.

    Returns the answer and what was on the screen.
    """
    answers: list[Allowed | Refused] = []
    screen = ""

    async def put() -> None:
        answers.append(await asker(CALL, access, reason))

    with anyio.fail_after(5), users_terminal() as terminal:
        async with anyio.create_task_group() as group:
            group.start_soon(put)
            for text in typed:
                await terminal.shows("allow? ")
                screen += terminal.screen.decode()
                terminal.screen = b""
                terminal.type(text)
    return answers[0], screen


NOBODY = Refused("user", "Nobody answered: the terminal was closed.")
NO = Refused("user", "The user refused this call.")


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        (["y\n"], Allowed("user")),
        ([" YES \n"], Allowed("user")),
        (["n\n"], NO),
        (["No\n"], NO),
        (["\n", " \n", "y\n"], Allowed("user")),
        (["use pytest -x\n"], Refused("user", "The user refused this call. They say: use pytest -x")),
        (["yes, but\n"], Refused("user", "The user refused this call. They say: yes, but")),
        (["\x04"], NOBODY),
        (["y\x04\x04"], NOBODY),
        ([""], NOBODY),
    ],
)
async def test_a_person_allows_refuses_or_says_why_not(typed: list[str], answer: Allowed | Refused) -> None:
    assert (await ask(TerminalAsker(), *typed))[0] == answer


async def test_always_holds_for_this_very_access_and_no_other() -> None:
    asker = TerminalAsker()
    assert (await ask(asker, "a\n"))[0] == Allowed("user")
    assert (await ask(asker))[0] == Allowed("user", "allowed for this session")
    assert (await ask(asker, "n\n", access=Access("shell", runs=("make install",))))[0] == NO


async def test_what_is_asked_cannot_hide_what_it_is() -> None:
    hostile = Access("shell", runs=("rm -rf ~ \x1b[2K\r\u202eecho ok\n",))
    _, screen = await ask(TerminalAsker(), "n\n", access=hostile, reason="why\x07")
    assert "why\\x07\r\n  shell(run: rm -rf ~ \\x1b[2K\\r\\u202eecho ok\\n)\r\n" in screen
    assert not {"\x1b", "\x07", "\u202e"} & set(screen)


async def test_a_terminal_that_was_gone_before_the_question_has_not_said_yes() -> None:
    answers: list[Allowed | Refused] = []
    with suppress(OSError), users_terminal() as terminal:  # what could not be written is still to be flushed
        terminal.close()
        with anyio.fail_after(5):
            answers.append(await TerminalAsker()(CALL, ACCESS, "why"))
    assert answers == [NOBODY]


async def test_a_question_can_be_cancelled() -> None:
    with anyio.fail_after(5), users_terminal() as terminal:
        async with anyio.create_task_group() as group:
            group.start_soon(TerminalAsker(), CALL, ACCESS, "why")
            await terminal.shows("allow? ")
            group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("true", Allowed("command")),
        ("echo fine", Allowed("command", "fine")),
        ("exit 3", Refused("command", "The permission command refused (exit code 3).")),
        ("echo not on Fridays; exit 1", Refused("command", "not on Fridays")),
        ("echo broken >&2; exit 1", Refused("command", "broken")),
        ("""echo '{"decision": "allow", "reason": "ok"}'""", Allowed("command", "ok")),
        ("""echo '{"decision": "deny", "reason": "no"}'""", Refused("command", "no")),
        (
            """echo '{"decision": "deny"}'""",
            Refused("command", "The permission command refused (exit code 0)."),
        ),
        (
            """echo '{"decision": "allow"}'; exit 1""",
            Refused("command", "The permission command refused (exit code 1)."),
        ),
        (
            """echo '{"decision": "ask"}'""",
            Refused("command", "The permission command refused (exit code 0)."),
        ),
        (
            """echo '{"decision": null}'""",
            Refused("command", "The permission command refused (exit code 0)."),
        ),
        ("echo '[1]'", Allowed("command")),
        ("head -c 60000 /dev/zero | tr '\\0' '['", Allowed("command", "[" * 2000)),
        ("printf '\\377'; exit 1", Refused("command", "\ufffd")),
        ("kill -9 $$", Refused("command", "The permission command refused (exit code -9).")),
        (
            "read x <&0; exec sleep 60",
            Refused("command", "The permission command did not answer within 0.5 s."),
        ),
    ],
)
async def test_a_program_decides_by_its_exit_code_or_in_json(
    tmp_path: Path, command: str, answer: Allowed | Refused
) -> None:
    with anyio.fail_after(5):
        assert await CommandAsker(command, str(tmp_path), ENV, 0.5)(CALL, ACCESS, "why") == answer


async def test_a_program_that_is_not_there_refuses_with_what_the_shell_says(tmp_path: Path) -> None:
    answer = await CommandAsker("no-such-program", str(tmp_path), ENV)(CALL, ACCESS, "why")
    assert isinstance(answer, Refused)
    assert "not found" in answer.reason
    answer = await CommandAsker("true", str(tmp_path / "gone"), ENV)(CALL, ACCESS, "why")
    assert answer == Refused("command", "The permission command cannot be run: No such file or directory.")


async def test_a_program_is_told_everything_about_the_call_in_the_workspace(tmp_path: Path) -> None:
    access = Access("edit", writes=("/w/ü\ud800",))
    call = CALL.model_copy(update={"arguments": "x" * 200_000})
    assert await CommandAsker("cat > asked", str(tmp_path), ENV)(call, access, "why") == Allowed("command")
    asked = json.loads((await anyio.Path(tmp_path / "asked").read_bytes()).decode())
    assert asked["access"]["writes"] == ["/w/ü\ud800"]
    assert asked["arguments"] == call.arguments
    assert (asked["tool"], asked["summary"], asked["reason"]) == ("shell", "edit(write: /w/ü\ud800)", "why")


async def test_a_program_that_does_not_read_a_long_question_is_heard_all_the_same(tmp_path: Path) -> None:
    call = CALL.model_copy(update={"arguments": "x" * 1_000_000})
    assert await CommandAsker("exec 0<&-; true", str(tmp_path), ENV)(call, ACCESS, "") == Allowed("command")


async def test_a_program_goes_before_a_person_and_without_either_nobody_is_asked() -> None:
    with users_terminal():
        assert isinstance(asker_for("true", "/", ENV), CommandAsker)
        assert isinstance(asker_for(None, "/", ENV), TerminalAsker)
    assert asker_for(None, "/", ENV) is None
