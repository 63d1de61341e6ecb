"""Decide whether an access is allowed. Pure: no files, no prompts, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from treadle.sandbox.contract import Access, Place
from treadle.sandbox.frozen import frozen
from treadle.sandbox.paths import inside
from treadle.sandbox.rules import Kind, Rule, Verdict

Mode: TypeAlias = Literal["plan", "ask", "edit", "auto", "yolo"]
Condition: TypeAlias = Literal["inside", "contained"]
"""Allowed in the folders of the session, or when a sandbox confines it; else asked."""

_MODES: dict[Mode, dict[Kind, Verdict | Condition]] = {
    "plan": {"write": "deny", "run": "deny", "opaque": "deny", "host": "ask", "env": "ask"},
    "ask": {"write": "ask", "run": "ask", "opaque": "ask", "host": "ask", "env": "ask"},
    "edit": {"write": "inside", "run": "ask", "opaque": "ask", "host": "ask", "env": "ask"},
    "auto": {"write": "inside", "run": "contained", "opaque": "contained", "host": "ask", "env": "ask"},
    "yolo": {"write": "allow", "run": "allow", "opaque": "allow", "host": "allow", "env": "allow"},
}
"""What happens when no rule says anything. Reading is always allowed: the sandbox hides what must not be read."""

_NOUNS: dict[Kind, str] = {
    "read": "reading",
    "write": "writing",
    "run": "running",
    "host": "reaching",
    "env": "handing over the variable",
    "opaque": "a call whose effects cannot be known:",
}
_SEVERITY: dict[Verdict, int] = {"deny": 0, "ask": 1, "allow": 2}


@frozen
class Decision:
    """What the policy says, and why in one line."""

    verdict: Verdict
    reason: str
    rule: Rule | None = None
    """The rule that decided; None when the mode did."""


@frozen
class _Judge:
    rules: Sequence[Rule]
    mode: Mode
    contained: bool
    place: Place


def decide(access: Access, rules: Sequence[Rule], mode: Mode, contained: bool, place: Place) -> Decision:
    """Return the strictest verdict over everything the access touches: deny, then ask, then allow.

    Deny rules hold in every mode. `plan` closes writing and running, whatever is allowed; `yolo` never asks.
    What declares nothing is treated as opaque, unless it is free. `contained` says that commands are confined, or
    that the user said they need not be. `access` and `place` hold absolute paths without links.
    """
    by_name = _strictest([rule for rule in rules if rule.names(access.tool)])
    if by_name is not None and by_name.verdict == "deny":
        return _by_rule(by_name, access.tool)
    if access.free:
        return Decision("allow", "It touches nothing outside the session.")
    judge = _Judge(rules, mode, contained, place)
    decisions = [_judge(kind, value, judge, by_name) for kind, value in _touched(access)]
    return min(decisions, key=lambda decision: _SEVERITY[decision.verdict])


def _touched(access: Access) -> list[tuple[Kind, str]]:
    touched: list[tuple[Kind, str]] = [
        *(("run", line) for line in access.runs),
        *(("write", path) for path in access.writes),
        *(("host", host) for host in access.hosts),
        *(("env", name) for name in access.env),
        *(("read", path) for path in access.reads),
    ]
    unknown = access.opaque and not access.runs  # a line is judged as one that may do anything
    return [*touched, ("opaque", access.tool)] if unknown or not touched else touched


def _judge(kind: Kind, value: str, judge: _Judge, by_name: Rule | None) -> Decision:
    matching = [rule for rule in judge.rules if rule.matches(kind, value, judge.place)]
    rule = _strictest(matching if by_name is None else [*matching, by_name])
    default = _by_mode(kind, value, judge)
    if rule is None or (default.verdict == "deny" and rule.verdict != "deny"):
        return default
    if rule.verdict == "ask" and judge.mode == "yolo":
        return default
    return _by_rule(rule, value)


def _by_mode(kind: Kind, value: str, judge: _Judge) -> Decision:
    verdict = _MODES[judge.mode].get(kind, "allow")
    if verdict == "inside":
        verdict = "allow" if inside(value, (judge.place.root, *judge.place.extra)) else "ask"
    elif verdict == "contained":
        verdict = "allow" if judge.contained else "ask"
    verb = {"allow": "allows", "ask": "asks before", "deny": "does not allow"}[verdict]
    return Decision(verdict, f"Mode {judge.mode} {verb} {_NOUNS[kind]} {value}")


def _by_rule(rule: Rule, value: str) -> Decision:
    verb = {"allow": "allows", "ask": "asks before", "deny": "denies"}[rule.verdict]
    return Decision(rule.verdict, f"The rule {rule} {verb} {value}", rule)


def _strictest(rules: Sequence[Rule]) -> Rule | None:
    return min(rules, key=lambda rule: _SEVERITY[rule.verdict], default=None)
