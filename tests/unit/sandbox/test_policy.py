from __future__ import annotations

import pytest

from treadle.sandbox.contract import Access, Place
from treadle.sandbox.policy import Decision, Mode, decide
from treadle.sandbox.rules import Rule, Verdict, parse_rule

PLACE = Place(root="/w", cwd="/w", extra=("/more",))

READ = Access("read", reads=("/etc/hosts",))
WRITE = Access("edit", writes=("/w/a",))
WRITE_EXTRA = Access("edit", writes=("/more/a",))
WRITE_OUT = Access("edit", writes=("/etc/a",))
RUN = Access("shell", runs=("make",))
HOST = Access("fetch", hosts=("example.org",))
ENV = Access("shell", env=("GITHUB_TOKEN",))
OPAQUE = Access("mcp__s__t", reads=("/w",), opaque=True)
EMPTY = Access("mcp__s__t")
FREE = Access("plan", free=True)


def _verdict(access: Access, *rules: Rule, mode: Mode = "ask", contained: bool = True) -> Verdict:
    return decide(access, rules, mode, contained, PLACE).verdict


def _allow(text: str) -> Rule:
    return parse_rule(text, "allow")


def _deny(text: str) -> Rule:
    return parse_rule(text, "deny")


@pytest.mark.parametrize(
    ("mode", "verdicts"),
    [
        # read, write, write in an extra folder, write outside, run, host, env, opaque, empty, free
        ("plan", "allow deny deny deny deny ask ask deny deny allow"),
        ("ask", "allow ask ask ask ask ask ask ask ask allow"),
        ("edit", "allow allow allow ask ask ask ask ask ask allow"),
        ("auto", "allow allow allow ask allow ask ask allow allow allow"),
        ("yolo", "allow allow allow allow allow allow allow allow allow allow"),
    ],
)
def test_a_mode_says_what_happens_without_rules(mode: Mode, verdicts: str) -> None:
    accesses = (READ, WRITE, WRITE_EXTRA, WRITE_OUT, RUN, HOST, ENV, OPAQUE, EMPTY, FREE)

    assert [_verdict(access, mode=mode) for access in accesses] == verdicts.split()


@pytest.mark.parametrize("access", [RUN, OPAQUE, EMPTY])
def test_auto_asks_before_what_no_sandbox_contains(access: Access) -> None:
    assert _verdict(access, mode="auto", contained=False) == "ask"


def test_the_strictest_thing_touched_decides() -> None:
    both = Access("shell", reads=("/w/a",), runs=("make",), hosts=("example.org",))

    assert decide(both, (), "auto", True, PLACE) == Decision(
        "ask", "Mode auto asks before reaching example.org"
    )


def test_deny_beats_ask_beats_allow() -> None:
    allow, ask, deny = (Rule(verdict, "Shell", "make") for verdict in ("allow", "ask", "deny"))

    assert _verdict(RUN, allow) == "allow"
    assert _verdict(RUN, allow, ask, mode="auto") == "ask"
    assert decide(RUN, (allow, ask, deny), "yolo", True, PLACE) == Decision(
        "deny", "The rule Shell(make) denies make", deny
    )


def test_yolo_does_not_ask_even_where_a_rule_would() -> None:
    assert _verdict(RUN, Rule("ask", "Shell"), mode="yolo") == "allow"


def test_plan_stays_closed_whatever_is_allowed() -> None:
    assert _verdict(WRITE, _allow("Edit"), mode="plan") == "deny"
    assert _verdict(RUN, _allow("Shell"), mode="plan") == "deny"
    assert _verdict(HOST, _allow("Fetch(example.org)"), mode="plan") == "allow"


def test_a_denied_tool_is_denied_even_when_it_touches_nothing() -> None:
    assert _verdict(FREE, _deny("Plan"), mode="yolo") == "deny"


@pytest.mark.parametrize("name", ["mcp__s__t", "mcp__s__*", "MCP__S__T"])
def test_a_tool_is_allowed_whole_by_its_name(name: str) -> None:
    assert _verdict(OPAQUE, _allow(name)) == "allow"
    assert _verdict(EMPTY, _allow(name)) == "allow"
    assert _verdict(Access("mcp__s__other2"), _allow("mcp__s__t")) == "ask"


def test_an_opaque_line_is_judged_as_a_line() -> None:
    assert _verdict(Access("shell", runs=("make",), opaque=True), _allow("Shell(make)")) == "allow"


@pytest.mark.parametrize(
    ("rule", "line", "expected"),
    [
        ("Shell(git log *)", "git log", True),
        ("Shell(git log *)", "git log -1 --oneline", True),
        ("Shell(git log *)", "git logx", False),
        ("Shell(git log *)", "git", False),
        ("Shell(git log)", "git log -1", False),
        ("Shell(npm run test:*)", "npm run test:unit", True),
        ("Shell(npm * lint)", "npm run lint", True),
        ("Shell(npm * lint)", "npm run fix lint", False),
        ("Shell(git log *)", "git log && touch x", False),
        ("Shell(git log *)", "git log; touch x", False),
        ("Shell(git log *)", "git log | sh", False),
        ("Shell(git log *)", "git log\ntouch x", False),
        ("Shell(git log *)", "git log $(touch x)", False),
        ("Shell(git log *)", "git log `touch x`", False),
        ("Shell(git log *)", "git log > x", False),
        ("Shell(git log *)", "git log $HOME", False),
        ("Shell(git log *)", "git log 'a b'", False),
        ("Shell(git log *)", "git log a\\b", False),
        ("Shell(git log *)", "git log &", False),
        ("Shell(git log *)", "git log *", False),
        ("Shell(git log *)", "PAGER=x git log", False),
        ("Shell(git log *)", "git log {a,b}", False),
        ("Shell(git log *)", "git\tlog", False),
        ("Shell(a && b)", "a && b", True),
        ("Shell(a && *)", "a && b", False),
        ("Shell(*)", "anything | at all", True),
        ("Shell", "anything | at all", True),
        ("Edit", "make", False),
    ],
)
def test_an_allowed_line_is_words_that_match_or_the_exact_text(rule: str, line: str, expected: bool) -> None:
    assert _verdict(Access("shell", runs=(line,)), _allow(rule)) == ("allow" if expected else "ask")


@pytest.mark.parametrize(
    ("rule", "line", "expected"),
    [
        ("Shell(rm *)", "rm -rf x", True),
        ("Shell(rm *)", "ls && rm x", True),
        ("Shell(rm *)", "ls\nrm x", True),
        ("Shell(rm *)", "echo $(rm x)", True),
        ("Shell(rm *)", "echo `rm x`", True),
        ("Shell(rm *)", "(rm x)", True),
        ("Shell(rm *)", "A=1 B+=2 rm x", True),
        ("Shell(rm *)", "/bin/rm x", True),
        ("Shell(rm *)", 'r\\m "x"', True),
        ("Shell(rm *)", "'rm' x", True),
        ("Shell(rm *)", "sudo -u root rm x", True),
        ("Shell(rm *)", "bash -c 'rm x'", True),
        ("Shell(rm *)", "find . -exec /bin/rm {} +", True),
        ("Shell(rm *)", "if rm x", True),
        ("Shell(a | b)", "a | b", True),
        ("Shell(rm *)", "git rm x", False),
        ("Shell(rm *)", "rmdir x", False),
        ("Shell(rm *)", "", False),
        ("Shell(git push *)", "git pull && git push", True),
        ("Shell", "true", True),
        ("Read", "true", False),
    ],
)
def test_a_denied_command_is_found_anywhere_in_a_line(rule: str, line: str, expected: bool) -> None:
    assert _verdict(Access("shell", runs=(line,)), _deny(rule), mode="yolo") == (
        "deny" if expected else "allow"
    )


@pytest.mark.parametrize(
    ("rule", "path", "expected"),
    [
        ("Edit(src/**)", "/w/src/a/b.py", True),
        ("Edit(src/**)", "/w/srcs/a", False),
        ("Edit(src/**)", "/w/x/src/a", False),
        ("Edit(src)", "/w/src/a/b.py", True),
        ("Edit(src/)", "/w/src/a", True),
        ("Edit(src/*.py)", "/w/src/a.py", True),
        ("Edit(src/*.py)", "/w/src/a/b.py", False),
        ("Edit(**/a.py)", "/w/a.py", True),
        ("Edit(**/a.py)", "/w/x/y/a.py", True),
        ("Edit(src/**/a.py)", "/w/src/a.py", True),
        ("Edit(src/**/a.py)", "/w/src/x/y/a.py", True),
        ("Edit(src/**/a.py)", "/w/src/xa.py", False),
        ("Edit(a?.py)", "/w/ab.py", True),
        ("Edit(a?b)", "/w/a/b", False),
        ("Edit(x**y/z)", "/w/x1/2y/z", True),
        ("Edit(*.py)", "/w/deep/a.py", True),
        ("Edit(*.py)", "/more/a.py", True),
        ("Edit(*.py)", "/etc/a.py", False),
        ("Edit(a[b].py)", "/w/a[b].py", True),
        ("Edit(a[b].py)", "/w/ab.py", False),
        ("Edit(/etc/**)", "/etc/x/y", True),
        ("Edit(/etc/**)", "/w/etc/x", False),
        ("Edit(src/**)", "/etc/src/a", False),
        ("Write(src/**)", "/w/src/a", True),
        ("Read(src/**)", "/w/src/a", False),
        ("Edit", "/anywhere", True),
        ("Edit(w)", "/w/a", False),
    ],
)
def test_an_allowed_path_matches_from_the_root_of_the_workspace(rule: str, path: str, expected: bool) -> None:
    assert _verdict(Access("edit", writes=(path,)), _allow(rule)) == ("allow" if expected else "ask")


@pytest.mark.parametrize("path", ["/w/.env", "/w/deep/.env", "/home/u/.env", "/w/.env/x"])
def test_a_denied_name_is_denied_everywhere(path: str) -> None:
    assert _verdict(Access("read", reads=(path,)), _deny("Read(.env)"), mode="yolo") == "deny"


@pytest.mark.parametrize(
    ("rule", "host", "expected"),
    [
        ("Fetch(docs.python.org)", "docs.python.org", True),
        ("Fetch(docs.python.org)", "DOCS.python.org.:443", True),
        ("Fetch(docs.python.org)", "docs.python.org.evil.net", False),
        ("Fetch(docs.python.org)", "docsxpython.org", False),
        ("Fetch(*.python.org)", "docs.python.org", True),
        ("Fetch(*.python.org)", "python.org", False),
        ("Fetch(localhost:8000)", "localhost:8000", True),
        ("Fetch(localhost:8000)", "localhost:8001", False),
        ("Fetch", "x.org", True),
    ],
)
def test_hosts_match_by_name(rule: str, host: str, expected: bool) -> None:
    assert _verdict(Access("fetch", hosts=(host,)), _allow(rule)) == ("allow" if expected else "ask")


@pytest.mark.parametrize(
    "text",
    ["", "Shell(", "Shell()", "(x)", "Shell(x) y", "Grep(x)", "mcp__s__t(x)", "Read(~/x)", "Edit(a/../b)"],
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"rule|pattern|path"):
        parse_rule(text, "allow")


@pytest.mark.parametrize("text", ["Shell(git log *)", "Edit", "mcp__s__t", "Shell(a (b) c)"])
def test_a_rule_is_printed_as_it_was_written(text: str) -> None:
    assert str(parse_rule(f" {text} ", "ask")) == text
