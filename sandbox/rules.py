"""A user's rules: `Shell(git log *)`, `Edit(src/**)`, `Read(.env)`, `Fetch(docs.python.org)`, `mcp__server__tool`."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Literal, TypeAlias

from treadle.sandbox.contract import Place
from treadle.sandbox.frozen import frozen
from treadle.sandbox.paths import inside

Verdict: TypeAlias = Literal["allow", "ask", "deny"]
Kind: TypeAlias = Literal["read", "write", "run", "host", "env", "opaque"]
"""What a call touches: one path, one shell line, one host, one variable; or nobody knows what."""

_KINDS: dict[str, Kind] = {"read": "read", "edit": "write", "write": "write", "shell": "run", "fetch": "host"}
_RULE = re.compile(r"([A-Za-z_][\w.*-]*)(?:\((.+)\))?", re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z0-9_./=:,@%+ -]*")
"""A line in which the shell finds nothing but words."""
_OPERATORS = re.compile(r"[;&|\n(){}`<>]|\$\(")
_QUOTES = str.maketrans("", "", "'\"\\")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_STARTERS = frozenset({
    "!", "bash", "busybox", "command", "dash", "do", "doas", "else", "env", "eval", "exec", "find", "if", "nice",
    "nohup", "setsid", "sh", "stdbuf", "sudo", "then", "time", "timeout", "until", "while", "xargs", "zsh",
})  # fmt: skip
"""Words after which, options aside, another program is named."""


@frozen
class Rule:
    """One rule. `Tool` alone means all that it does; a name that takes no pattern is matched with tool names."""

    verdict: Verdict
    name: str
    pattern: str | None = None
    """None matches everything."""

    def __str__(self) -> str:
        return self.name if self.pattern is None else f"{self.name}({self.pattern})"

    @property
    def kind(self) -> Kind | None:
        """What the pattern is compared with; None when the rule is about a tool by its name."""
        return _KINDS.get(self.name.lower())

    def names(self, tool: str) -> bool:
        """Whether the rule is about this tool as a whole; `*` stands for any part of a name."""
        return self.kind is None and _glob(self.name.lower(), ".*").fullmatch(tool.lower()) is not None

    def matches(self, kind: Kind, value: str, place: Place) -> bool:
        """Whether it applies to one thing that a call touches. Allowing is read narrowly, the rest broadly."""
        if self.kind != kind:
            return False
        if self.pattern is None or self.pattern == "*":
            return True
        if kind == "run":
            return (
                _allows_line(self.pattern, value) if self.verdict == "allow" else _finds(self.pattern, value)
            )
        if kind == "host":
            return _host_matches(self.pattern, value)
        return _path_matches(self.pattern, value, place, narrow=self.verdict == "allow")


def parse_rule(text: str, verdict: Verdict) -> Rule:
    """Read a rule. Raises ValueError with what is wrong."""
    found = _RULE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a rule: write Tool or Tool(pattern), as in Shell(git log *).")
    rule = Rule(verdict, found[1], found[2])
    if rule.pattern is not None and rule.kind is None:
        raise ValueError(f"{rule.name} takes no pattern: only Shell, Edit, Write, Read and Fetch do.")
    if rule.kind in {"read", "write"} and re.match(r"~|\./|(.*/)?\.\.(/|$)", rule.pattern or ""):
        raise ValueError(f"{rule}: write the path from the workspace's root, or an absolute one.")
    return rule


def _allows_line(pattern: str, line: str) -> bool:
    """A line is allowed word by word, and only when the shell can find nothing else in it; or by its exact text."""
    if line == pattern and not {"*", "?"} & set(pattern):
        return True
    return _PLAIN.fullmatch(line) is not None and _words_match(pattern.split(), line.split())


def _finds(pattern: str, line: str) -> bool:
    """Whether any command in the line is one that the pattern means, as far as can be seen without a parser."""
    wanted = pattern.split()
    return line == pattern or any(_words_match(wanted, words) for words in _commands(line))


def _commands(line: str) -> Iterator[list[str]]:
    for segment in _OPERATORS.split(line):
        words = segment.translate(_QUOTES).split()
        while words and _ASSIGNMENT.match(words[0]):
            words = words[1:]
        starts = range(len(words)) if words and posixpath.basename(words[0]) in _STARTERS else range(1)
        for start in starts:
            yield words[start:]
            yield [posixpath.basename(word) for word in words[start : start + 1]] + words[start + 1 :]


def _words_match(wanted: list[str], words: list[str]) -> bool:
    """Compare word by word; a last word `*` stands for any number of words, also none."""
    if wanted[-1:] == ["*"]:
        wanted, words = wanted[:-1], words[: len(wanted) - 1]
    return len(wanted) == len(words) and all(
        _glob(one, ".*").fullmatch(word) for one, word in zip(wanted, words, strict=True)
    )


def _host_matches(pattern: str, host: str) -> bool:
    host = host.lower().rstrip(".")
    if ":" not in pattern:
        host = host.partition(":")[0].rstrip(".")
    return _glob(pattern.lower(), ".*").fullmatch(host) is not None


def _path_matches(pattern: str, path: str, place: Place, *, narrow: bool) -> bool:
    """Match as a .gitignore line does, from the workspace's root; a folder stands for all that is in it.

    A pattern without a slash is looked for at every depth: of the session's folders when `narrow`, else anywhere.
    """
    bare = pattern.rstrip("/")
    if "/" not in bare:
        if narrow and not inside(path, (place.root, *place.extra)):
            return False
        base = (
            "" if not narrow else next(root for root in (place.root, *place.extra) if inside(path, (root,)))
        )
        return any(_glob(bare, "[^/]*").fullmatch(part) for part in path.removeprefix(base).split("/"))
    if not bare.startswith("/"):
        root = place.root.rstrip("/") + "/"
        if not path.startswith(root):
            return False
        path = path.removeprefix(root)
    return re.fullmatch(_glob(bare, "[^/]*").pattern + "(?:/.*)?", path, re.DOTALL) is not None


def _glob(pattern: str, star: str) -> re.Pattern[str]:
    """Translate: `**` crosses folders, `*` is `star`, `?` is one character of a name; all else is itself."""
    tokens = re.split(r"(/\*\*/|^\*\*/|/\*\*$|\*\*|\*|\?)", pattern)
    known = {"/**/": "/(?:.*/)?", "**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": star, "?": "[^/]"}
    return re.compile("".join(known.get(token) or re.escape(token) for token in tokens), re.DOTALL)
