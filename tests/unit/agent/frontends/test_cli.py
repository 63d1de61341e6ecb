"""`treadle run` from its options to its result, in this process."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import pytest
from unit.agent.headless import Object, Ran, Treadle
from unit.agent.terminal import users_terminal

from treadle.agent.log import SessionLog

WRITE: Object = {"calls": [{"write": {"path": "made.txt", "content": "made\n"}}]}
READ: Object = {"calls": [{"read": {"path": "a.txt"}}]}
RUN: Object = {"calls": [{"shell": {"command": "echo ran > ran.txt"}}]}
DONE: Object = {"text": "Done."}
SCHEMA: Object = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FITS: Object = {"text": '{"n": 1}'}
MISFIT: Object = {"text": "one"}
NATIVE, BY_TOOL, IN_WORDS = "json_schema", "json_object", "prompt"


def structured(how: str) -> str:
    """Return the setting that makes the provider one that holds a model to a schema in this way."""
    return f'providers.mock.dialect={{structured = "{how}"}}'


def told(ran: Ran) -> tuple[int, str]:
    return ran.code, ran.result["outcome"]


@pytest.mark.parametrize(
    ("arguments", "steps", "code", "outcome", "limit"),
    [
        ([], [DONE], 0, "done", None),
        (["--max-steps", "1"], [READ, DONE], 3, "limit", "steps"),
        (["--max-tool-calls", "0"], [READ, DONE], 3, "limit", "tool_calls"),
        (["--max-tokens", "50"], [READ, DONE], 3, "limit", "tokens"),
        (["--time-limit", "0.3"], [{**DONE, "pace": {"first": 30}}], 3, "limit", "time"),
        ([], [READ] * 5, 3, "limit", "loop"),
        ([], [{**DONE, "finish": "length"}], 3, "limit", "output_length"),
        ([], [{**DONE, "faults": [{"status": 401}]}], 1, "usage", None),
        ([], [{**DONE, "faults": [{"status": 400}]}], 2, "failed", None),
        ([], [{**DONE, "finish": "content_filter"}], 2, "failed", None),
        (["--mode", "plan"], [WRITE, DONE], 5, "denied", None),
        (["--deny", "Edit(made.txt)"], [WRITE, DONE], 5, "denied", None),
        (["--deny", "Edit(", "--mode", "plan"], [DONE], 1, "usage", None),
        (["-c", "limits.stepz=1"], [DONE], 1, "usage", None),
        (["-m", "nowhere/m"], [DONE], 1, "usage", None),
        (["-C", "/no/such/folder"], [DONE], 1, "usage", None),
        (["--resume", "nothing"], [DONE], 1, "usage", None),
        (["--continue"], [DONE], 1, "usage", None),
    ],
)
def test_every_way_out_has_its_exit_code_and_a_result(
    treadle: Treadle,
    arguments: list[str],
    steps: Sequence[Object],
    code: int,
    outcome: str,
    limit: str | None,
) -> None:
    ran = treadle.run(*arguments, steps=steps)
    assert told(ran) == (code, outcome)
    assert ran.result["exit_code"] == code
    assert ran.result.get("limit") == limit
    assert ("error" in ran.result) == (outcome in {"usage", "failed"})
    if "error" in ran.result:
        assert f"treadle: {ran.result['error']}" in ran.err.splitlines()
        assert {"type": "error", "message": ran.result["error"]} in ran.events


def test_a_result_tells_what_the_run_came_to_and_where_it_is_kept(treadle: Treadle) -> None:
    (treadle.workspace / "a.txt").write_text("hello", encoding="utf-8")
    ran = treadle.run(steps=[READ, DONE])
    result = ran.result
    assert (result["message"], result["steps"], result["tool_calls"]) == ("Done.", 2, 1)
    assert result["usage"]["input_tokens"] == 200
    assert result["usage"]["output_tokens"] == 20
    assert result["request_bytes"] == sum(len(request.body) for request in treadle.mock.requests)
    assert result["sandbox"] == "none"
    (file,) = treadle.sessions
    assert result["session_id"] == file.stem
    verified = treadle("sessions", "verify", file.stem)
    assert result["log_head"] in verified.out


def test_text_goes_to_standard_output_and_progress_to_standard_error(treadle: Treadle) -> None:
    treadle.script(WRITE, DONE)
    ran = treadle("run", "-m", "mock/m", "--sandbox", "none", "-C", str(treadle.workspace), "Go.")
    assert (ran.code, ran.out) == (0, "Done.\n")
    assert "• write made.txt" in ran.err
    assert "\x1b" not in ran.err


def test_the_final_message_can_go_to_a_file_too(treadle: Treadle) -> None:
    treadle.run("-o", str(treadle.base / "last.txt"), steps=[DONE])
    assert (treadle.base / "last.txt").read_text(encoding="utf-8") == "Done."


def test_nothing_is_kept_of_an_ephemeral_run(treadle: Treadle) -> None:
    assert told(treadle.run("--ephemeral", steps=[DONE])) == (0, "done")
    assert treadle.sessions == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["run", "--output", "json", "--bogus"], "No such option"),
        (["run", "--output=stream-json", "--max-steps", "0", "Go."], "--max-steps"),
        (["run", "--output", "json", "--continue", "--resume", "x", "Go."], "exclude each other"),
        (["run", "--output", "json", "--output-schema", "/no/such/schema", "Go."], "No such file"),
        (["run", "--output", "json", "--ephemeral", "--resume", "x", "Go."], "begins anew"),
        (["run", "--output", "json", "--ephemeral", "--continue", "Go."], "begins anew"),
    ],
)
def test_a_command_line_that_makes_no_sense_has_a_result_for_scripts_too(
    treadle: Treadle, arguments: list[str], why: str
) -> None:
    ran = treadle(*arguments)
    assert (ran.code, ran.result["outcome"], ran.result["exit_code"]) == (1, "usage", 1)
    assert why in ran.result["error"]
    assert len(ran.err.splitlines()) == len(ran.out.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [["run", "--bogus"], ["bogus"], ["run", "--output", "xml"], ["sessions", "show"], ["debug", "decode"]],
)
def test_for_people_it_is_one_line(treadle: Treadle, arguments: list[str]) -> None:
    ran = treadle(*arguments)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1)
    assert ran.err.startswith("treadle: ")


def test_help_and_version_are_no_failures_and_no_command_shows_the_help(treadle: Treadle) -> None:
    assert treadle("--help").code == treadle("run", "-h").code == treadle("--version").code == 0
    alone = treadle()
    assert (alone.code, alone.out) == (1, "")
    assert "Commands:" in alone.err.splitlines()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "not valid JSON"),
        ("[]", "a JSON Schema is an object"),
        ('{"type": "thing"}', "not a JSON Schema"),
    ],
)
def test_a_schema_that_is_none_is_told_before_anything_runs(treadle: Treadle, content: str, why: str) -> None:
    file = treadle.base / "schema.json"
    file.write_text(content, encoding="utf-8")
    ran = treadle("run", "--output", "json", "--output-schema", str(file), "Go.")
    assert (ran.code, ran.result["outcome"]) == (1, "usage")
    assert why in ran.result["error"]
    assert str(file) in ran.result["error"]


@pytest.mark.parametrize(
    ("mode", "step", "by", "made"),
    [
        ("plan", WRITE, "mode", False),
        ("plan", RUN, "mode", False),
        ("ask", WRITE, "headless", False),
        ("ask", RUN, "headless", False),
        ("edit", WRITE, None, True),
        ("edit", RUN, "headless", False),
        ("auto", RUN, None, True),
        ("yolo", RUN, None, True),
        ("plan", READ, None, False),
    ],
)
def test_a_mode_refuses_what_nobody_can_be_asked_about(
    treadle: Treadle, mode: str, step: Object, by: str | None, made: bool
) -> None:
    (treadle.workspace / "a.txt").write_text("hello", encoding="utf-8")
    ran = treadle.run("--mode", mode, steps=[step, DONE])
    assert told(ran) == ((0, "done") if by is None else (5, "denied"))
    assert [denial["by"] for denial in ran.result["denials"]] == ([] if by is None else [by])
    assert [item["decision"] for item in ran.items("permission")] == ([] if by is None else ["deny"])
    assert any((treadle.workspace / name).exists() for name in ("made.txt", "ran.txt")) == made


def test_yolo_has_no_sandbox_unless_one_is_named(treadle: Treadle) -> None:
    run = ("run", "--output", "json", "-m", "mock/m", "-C", str(treadle.workspace), "--mode", "yolo")
    treadle.script(RUN, DONE)
    assert treadle(*run, "Go.").result["sandbox"] == "none"
    treadle.patch.setenv("PATH", "/nowhere")
    assert told(treadle(*run, "--sandbox", "bwrap", "Go.")) == (2, "failed")


def test_a_refusal_says_what_was_refused_and_the_model_is_told_why(treadle: Treadle) -> None:
    ran = treadle.run("--mode", "ask", steps=[WRITE, DONE])
    (denial,) = ran.result["denials"]
    assert (denial["tool"], denial["by"]) == ("write", "headless")
    assert denial["access"].startswith("write(write: ")
    assert denial["access"].endswith("/work/made.txt)")
    assert "Nobody can be asked" in denial["reason"]
    assert treadle.bodies[1]["messages"][-1]["content"].endswith(denial["reason"])


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        ("true", 0, None),
        ("echo not today; exit 1", 5, "not today"),
        ("""echo '{"decision": "deny", "reason": "no"}'""", 5, "no"),
        ("no-such-program", 5, "not found"),
    ],
)
def test_a_program_of_the_users_answers_what_the_mode_leaves_open(
    treadle: Treadle, command: str, code: int, reason: str | None
) -> None:
    ran = treadle.run("--mode", "ask", "--permission-command", command, steps=[WRITE, DONE])
    assert ran.code == code
    assert (treadle.workspace / "made.txt").exists() == (code == 0)
    if reason is None:
        assert [item["decision"] for item in ran.items("permission")] == ["allow"]
    else:
        assert reason in ran.result["denials"][0]["reason"]
        assert ran.result["denials"][0]["by"] == "command"


@pytest.mark.parametrize(
    "arguments",
    [("--permission-command", "true"), ("--allow", "Edit(/**/beside/new/x.txt)"), ("--mode", "yolo")],
)
def test_what_was_allowed_outside_the_workspace_is_written_and_nothing_else(
    treadle: Treadle, arguments: tuple[str, ...]
) -> None:
    beside = treadle.base / "beside"
    beside.mkdir()
    (treadle.workspace / "link").symlink_to(beside)
    write = {"calls": [{"write": {"path": "link/new/x.txt", "content": "x"}}]}
    assert told(treadle.run(*arguments, steps=[write, DONE])) == (0, "done")
    assert [path.name for path in beside.rglob("*")] == ["new", "x.txt"]
    assert told(treadle.run(steps=[write, DONE])) == (5, "denied")


def test_a_folder_steers_nothing_until_it_is_trusted_and_again_when_it_changes(treadle: Treadle) -> None:
    (treadle.workspace / ".treadle").mkdir()
    (treadle.workspace / "AGENTS.md").write_text("Say moo.", encoding="utf-8")
    (treadle.workspace / ".treadle/config.toml").write_text("[limits]\nsteps = 1", encoding="utf-8")

    def run(*arguments: str) -> tuple[Ran, bool]:
        ran = treadle.run(*arguments, steps=[WRITE, DONE])
        return ran, "Say moo." in json.dumps(treadle.bodies[0])

    ran, told_so = run()
    assert (told(ran), told_so) == ((0, "done"), False)
    assert ran.result["untrusted"] == ["AGENTS.md", ".treadle/config.toml"]
    ignored = [line for line in ran.err.splitlines() if "not trusted" in line]
    assert ignored == [
        "treadle: this folder is not trusted: ignoring AGENTS.md, .treadle/config.toml; --trust takes them in"
    ]
    for arguments in (["--trust"], []):
        ran, told_so = run(*arguments)
        assert (told(ran), told_so, ran.result["untrusted"]) == ((3, "limit"), True, [])
        assert "not trusted" not in ran.err
    (treadle.workspace / "AGENTS.md").write_text("Say moo. Twice.", encoding="utf-8")
    ran, told_so = run()
    assert (told(ran), told_so) == ((0, "done"), False)


@pytest.mark.parametrize(
    "toml", ['sandbox = "none"', '[providers.mock]\nbase_url = "http://evil.example"', 'mode = "yolo"']
)
def test_not_even_a_trusted_folder_sends_keys_elsewhere_or_weakens_the_sandbox(
    treadle: Treadle, toml: str
) -> None:
    (treadle.workspace / ".treadle").mkdir()
    (treadle.workspace / ".treadle/config.toml").write_text(toml, encoding="utf-8")
    ran = treadle.run("--trust", steps=[DONE])
    assert told(ran) == (1, "usage")
    assert "cannot be set by a project" in ran.result["error"]
    assert treadle.bodies == []


@pytest.mark.parametrize(
    ("how", "steps", "code", "message"),
    [
        (NATIVE, [FITS], 0, '{"n": 1}'),
        (NATIVE, [MISFIT, FITS], 0, '{"n": 1}'),
        (NATIVE, [MISFIT, MISFIT], 5, "one"),
        (BY_TOOL, [{"calls": [{"answer": {"n": 1}}]}], 0, '{"n": 1}'),
        (BY_TOOL, [{"calls": [{"answer": {"n": "1"}}]}, {"calls": [{"answer": {"n": 2}}]}], 0, '{"n": 2}'),
        (BY_TOOL, [MISFIT, {"calls": [{"answer": {"n": 1}}]}], 0, '{"n": 1}'),
        (BY_TOOL, [MISFIT, MISFIT], 5, "one"),
        (IN_WORDS, [{"calls": [{"answer": {"n": 1}}]}], 0, '{"n": 1}'),
    ],
)
def test_an_answer_fits_the_schema_or_the_run_is_denied(
    treadle: Treadle, how: str, steps: Sequence[Object], code: int, message: str
) -> None:
    schema = treadle.base / "schema.json"
    schema.write_text(json.dumps(SCHEMA), encoding="utf-8")
    ran = treadle.run("--output-schema", str(schema), "-c", structured(how), steps=steps)
    assert (ran.code, ran.result["message"]) == (code, message)
    assert (ran.result["outcome"] == "denied") == ("error" in ran.result)
    first = treadle.bodies[0]
    tools = [tool["function"]["name"] for tool in first["tools"]]
    assert ("response_format" in first) == (how == NATIVE)
    assert ("answer" in tools) == (how != NATIVE)
    if how == NATIVE:
        assert first["response_format"]["json_schema"]["schema"] == SCHEMA
    else:
        assert first["tools"][tools.index("answer")]["function"]["parameters"] == SCHEMA


@pytest.mark.parametrize("how", [BY_TOOL, IN_WORDS])
def test_without_tools_a_schema_is_asked_for_as_well_as_the_provider_can(treadle: Treadle, how: str) -> None:
    schema = treadle.base / "schema.json"
    schema.write_text(json.dumps(SCHEMA), encoding="utf-8")
    options = ("--output-schema", str(schema), "-c", structured(how), "--tools", "none")
    assert treadle.run(*options, steps=[MISFIT, FITS]).result["message"] == '{"n": 1}'
    assert "tools" not in treadle.bodies[0]
    assert treadle.bodies[0].get("response_format") == ({"type": "json_object"} if how == BY_TOOL else None)
    assert '"required"' in json.dumps(treadle.bodies[0]["messages"]).replace("\\", "")


@pytest.mark.parametrize(
    ("steps", "code"), [([FITS], 0), ([MISFIT, FITS], 0), ([MISFIT, {"text": "[1]"}], 5)]
)
def test_json_mode_wants_an_object(treadle: Treadle, steps: Sequence[Object], code: int) -> None:
    ran = treadle.run("--json-mode", steps=steps)
    assert ran.code == code
    assert treadle.bodies[0]["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(("passes_after", "code", "steps"), [(1, 0, 1), (3, 0, 3), (9, 5, 3)])
def test_a_command_must_succeed_before_the_task_is_done(
    treadle: Treadle, passes_after: int, code: int, steps: int
) -> None:
    command = f"echo x >> tried; echo tries: $(wc -l < tried); test $(wc -l < tried) -ge {passes_after}"
    ran = treadle.run("--verify", command, steps=[DONE] * 3)
    assert (ran.code, ran.result["steps"]) == (code, steps)
    if steps > 1:
        assert "tries: 1" in treadle.bodies[1]["messages"][-1]["content"]
    if code:
        assert ran.result["error"] == f"`{command}` does not succeed"


def test_tools_can_be_left_to_reading_or_out_altogether(treadle: Treadle) -> None:
    treadle.run("--tools", "read", steps=[DONE])
    names = {tool["function"]["name"] for tool in treadle.bodies[0]["tools"]}
    assert names == {"read", "glob", "grep", "plan", "recall"}
    treadle.run("--tools", "none", steps=[DONE])
    assert treadle.bodies[0]["messages"] == [{"role": "user", "content": "Go."}]
    assert "tools" not in treadle.bodies[0]


def messages(body: Object) -> list[str]:
    return [json.dumps(message) for message in body["messages"]]


def test_a_session_goes_on_where_it_was(treadle: Treadle) -> None:
    first = treadle.run(steps=[WRITE, DONE])
    before = treadle.bodies[-1]
    for arguments in (["--continue"], ["--resume", first.result["session_id"][:15]]):
        ran = treadle.run(*arguments, steps=[DONE], prompt=("And?",))
        assert ran.result["session_id"] == first.result["session_id"]
        assert messages(treadle.bodies[0])[: len(before["messages"])] == messages(before)
        assert treadle.bodies[0]["tools"] == before["tools"]


def test_without_a_prompt_a_session_goes_on_with_what_is_unfinished(treadle: Treadle) -> None:
    treadle.run("--max-steps", "1", steps=[WRITE])
    assert told(treadle.run("--continue", steps=[DONE], prompt=())) == (0, "done")
    assert treadle.bodies[0]["messages"][-1]["role"] == "tool"
    ran = treadle.run("--continue", steps=[DONE], prompt=())
    assert told(ran) == (1, "usage")
    assert "nothing left to do" in ran.result["error"]


def test_a_fork_sends_the_bytes_and_the_cache_key_of_its_parent(treadle: Treadle) -> None:
    keyed = ("-c", "providers.mock.dialect={cache_key = true}")
    parent = treadle.run(*keyed, steps=[WRITE, DONE])
    before = treadle.bodies
    ran = treadle.run(*keyed, "--fork", parent.result["session_id"], steps=[DONE], prompt=("And?",))
    assert ran.result["session_id"] != parent.result["session_id"]
    assert messages(treadle.bodies[0])[: len(before[-1]["messages"])] == messages(before[-1])
    assert (
        treadle.bodies[0]["prompt_cache_key"] == before[0]["prompt_cache_key"] == parent.result["session_id"]
    )
    assert len(treadle.sessions) == 2
    ran = treadle.run("--fork", f"{parent.result['session_id']}@e99", steps=[DONE])
    assert told(ran) == (1, "usage")
    assert "has no entry 'e99'" in ran.result["error"]


@pytest.mark.parametrize(
    ("arguments", "prompt"),
    [(("-m", "nobody/x"), ("Go.",)), (("-c", "bogus=1"), ("Go.",)), ((), ()), ((), ("",))],
)
def test_a_fork_in_which_nothing_was_said_leaves_no_session(
    treadle: Treadle, arguments: tuple[str, ...], prompt: tuple[str, ...]
) -> None:
    parent = treadle.run(steps=[DONE])
    ran = treadle.run("--fork", parent.result["session_id"], *arguments, steps=[DONE], prompt=prompt)
    assert told(ran) == (1, "usage")
    assert [file.stem for file in treadle.sessions] == [parent.result["session_id"]]


def entries(treadle: Treadle, kind: str) -> list[Object]:
    lines = treadle.sessions[-1].read_text(encoding="utf-8").splitlines()
    return [body for line in lines if (body := json.loads(line)["body"])["type"] == kind]


def test_another_model_in_a_session_is_kept_and_says_what_it_costs(treadle: Treadle) -> None:
    treadle.run(steps=[DONE])
    priced = ("-c", 'models={"mock/dear" = {price = {input = 10.0, output = 20.0}}}')
    ran = treadle.run("--continue", "-m", "mock/dear", *priced, steps=[DONE], prompt=("And?",))
    assert [body["model"] for body in entries(treadle, "model_changed")] == ["mock/dear"]
    assert "from mock/m to mock/dear: about 110 tokens are read anew, for about $0.0011" in ran.err
    assert treadle.bodies[0]["model"] == "dear"
    treadle.run("--continue", "-m", "mock/m", steps=[DONE], prompt=("And?",))
    assert [body["model"] for body in entries(treadle, "model_changed")] == ["mock/dear", "mock/m"]


def test_another_effort_or_mode_in_a_session_is_kept_and_the_mode_is_told_to_the_model(
    treadle: Treadle,
) -> None:
    treadle.run("--temperature", "0.5", "--seed", "7", steps=[DONE])
    ran = treadle.run(
        "--continue", "--effort", "high", "--mode", "plan", steps=[DONE, WRITE, DONE], prompt=("And?",)
    )
    assert told(ran) == (5, "denied")
    assert "effort is now high: about 110 tokens are read anew" in ran.err
    (changed,) = entries(treadle, "settings_changed")
    assert (changed["settings"]["effort"], changed["settings"]["mode"]) == ("high", "plan")
    assert "The mode of this session is now plan." in treadle.bodies[0]["messages"][-2]["content"]
    assert (treadle.bodies[0]["temperature"], treadle.bodies[0]["seed"]) == (0.5, 7)
    ran = treadle.run("--continue", steps=[*[DONE] * 3, WRITE, DONE], prompt=("And?",))
    assert told(ran) == (5, "denied")
    assert len(entries(treadle, "settings_changed")) == 1


def test_of_a_session_that_goes_on_only_what_is_given_changes(treadle: Treadle) -> None:
    treadle.run("--temperature", "0.5", "--seed", "7", "--max-output-tokens", "99", steps=[DONE])
    treadle.run("--continue", "--temperature", "0.25", "-c", "reply={max_output_tokens = 88}", steps=[DONE])
    body = treadle.bodies[0]
    assert (body["temperature"], body["seed"]) == (0.25, 7)
    assert 88 in body.values()
    assert 99 not in body.values()


def test_a_schema_in_a_session_that_has_no_answer_tool_is_asked_for_in_words(treadle: Treadle) -> None:
    schema = treadle.base / "schema.json"
    schema.write_text(json.dumps(SCHEMA), encoding="utf-8")
    by_tool = ("-c", structured(BY_TOOL))
    treadle.run(*by_tool, steps=[DONE])
    ran = treadle.run(
        "--continue", *by_tool, "--output-schema", str(schema), steps=[DONE, FITS], prompt=("And?",)
    )
    assert (ran.code, ran.result["message"]) == (0, '{"n": 1}')


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_at_a_terminal_progress_is_coloured_unless_the_user_wants_none(
    treadle: Treadle, no_color: str, coloured: bool
) -> None:
    treadle.script(WRITE, DONE)
    treadle.patch.setenv("NO_COLOR", no_color)
    with users_terminal() as terminal:
        ran = treadle("run", "-m", "mock/m", "--sandbox", "none", "-C", str(treadle.workspace), "Go.")
        screen = os.read(terminal.master, 10_000).decode()
    assert (ran.code, ran.out) == (0, "Done.\n")
    assert ("\x1b[36m• write made.txt\x1b[0m" in screen) is coloured
    assert ("\x1b" in screen) is coloured


@pytest.mark.parametrize(("typed", "code", "by"), [("y\n", 0, "user"), ("not now\n", 5, "user")])
def test_at_a_terminal_the_user_is_asked(treadle: Treadle, typed: str, code: int, by: str) -> None:
    with users_terminal() as terminal:
        terminal.type(typed)
        ran = treadle.run("--mode", "ask", steps=[WRITE, DONE])
        screen = os.read(terminal.master, 10_000).decode()
    assert ran.code == code
    assert "Mode ask asks before writing" in screen
    assert (treadle.workspace / "made.txt").exists() == (code == 0)
    assert [denial["by"] for denial in ran.result["denials"]] == ([] if code == 0 else [by])
    if code:
        assert "They say: not now" in json.dumps(treadle.bodies[1])


def test_a_workspace_that_is_gone_in_the_middle_is_a_failure_with_what_was_spent(treadle: Treadle) -> None:
    gone: Object = {"calls": [{"shell": {"command": 'rm -rf "$PWD"'}}]}
    ran = treadle.run("--verify", "true", steps=[gone, DONE, DONE, DONE])
    assert told(ran) == (2, "failed")
    assert "internal error" not in ran.err
    assert (ran.result["steps"], ran.result["usage"]["input_tokens"]) == (2, 200)
    assert ran.result["log_head"] in treadle("sessions", "verify", ran.result["session_id"]).out


def test_without_what_confines_commands_nothing_runs(treadle: Treadle) -> None:
    treadle.script(DONE)
    treadle.patch.setenv("PATH", str(treadle.base))
    ran = treadle(
        "run", "--output", "json", "--sandbox", "bwrap", "-m", "mock/m", "-C", str(treadle.workspace), "Go."
    )
    assert (ran.code, ran.result["outcome"], treadle.bodies) == (2, "failed", [])
    assert "--sandbox none runs commands without any." in ran.result["error"]


def test_a_session_that_another_process_writes_is_left_alone(treadle: Treadle) -> None:
    first = treadle.run(steps=[DONE])
    log = SessionLog(treadle.sessions[0])
    ran = treadle.run("--resume", first.result["session_id"], steps=[DONE])
    log.close()
    assert told(ran) == (2, "failed")
    assert "is open in another process" in ran.result["error"]


def test_a_state_folder_that_cannot_be_made_is_told_with_what_to_do(treadle: Treadle) -> None:
    (treadle.base / "state").touch()
    ran = treadle.run(steps=[DONE])
    assert told(ran) == (2, "failed")
    assert "set XDG_STATE_HOME to a folder that can be written" in ran.result["error"]
    assert told(treadle.run("--ephemeral", steps=[DONE])) == (0, "done")


def test_a_session_goes_on_in_its_own_workspace_while_that_is_there(treadle: Treadle) -> None:
    treadle.run(steps=[DONE])
    (session,) = treadle.sessions
    own, other = treadle.workspace, treadle.base / "other"
    other.mkdir()
    ran = treadle.run("-C", str(other), "--resume", session.stem, steps=[DONE], prompt=("And?",))
    assert told(ran) == (1, "usage")
    assert f"works on {own}" in ran.err
    own.rename(treadle.base / "moved")
    moved = str(treadle.base / "moved")
    ran = treadle.run("-C", moved, "--resume", session.stem, steps=[DONE, DONE], prompt=("And?",))
    assert told(ran) == (0, "done")
    assert f"Workspace: {moved}" in str(treadle.bodies[0]["messages"])
