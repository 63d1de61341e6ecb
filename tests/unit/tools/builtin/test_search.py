from __future__ import annotations

import codecs
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from treadle.sandbox.contract import Access, Command, Processes, Profile, SandboxError
from treadle.sandbox.local import local_processes
from treadle.tools.builtin.search import glob_tool, grep_tool
from treadle.tools.contract import Text, ToolContext, ToolError

pytestmark = pytest.mark.anyio

RIPGREP = shutil.which("rg")
Search = Callable[..., Awaitable[str]]

FILES: dict[str, bytes] = {
    ".gitignore": b"# built\n/build/\n*.log\n!keep.log\n\\#odd\nspaced\\ \n**/gen/*.py\ndoc/*.txt\nanchored/here\n[xy]z\n",
    "README.md": b"# Title\nneedle in the middle\nlast line without end",
    "src/main.py": b"import os\n\ndef needle():\n    return os\n\n\ndef other():\n    return needle()\n",
    "src/main.ts": b"const needle = 1;\n",
    "src/app.tsx": b"export const App = needle;\n",
    "src/deep/er/tool.py": b"NEEDLE = 'needle'\n",
    "src/gen/made.py": b"needle ignored\n",
    "src/gen/kept.txt": b"needle kept\n",
    "src/.gitignore": b"local.py\n!*.log\n",
    "src/local.py": b"needle ignored by the folder's own rules\n",
    "src/back.log": b"needle taken back in\n",
    "src.d/a": b"needle\n",
    "src-x/a": b"needle\n",
    "build/out.py": b"needle ignored\n",
    "deep/build/out.py": b"needle not ignored: the rule is anchored\n",
    "noise.log": b"needle ignored\n",
    "keep.log": b"needle kept\n",
    "#odd": b"needle ignored\n",
    "spaced ": b"needle ignored\n",
    "xz": b"needle ignored\n",
    "doc/a.txt": b"needle ignored\n",
    "doc/sub/a.txt": b"needle kept\n",
    "anchored/here/a": b"needle ignored\n",
    "deep/anchored/here/a": b"needle kept\n",
    ".hidden/file.py": b"needle hidden\n",
    ".env": b"needle=hidden\n",
    ".hidden.py": b"needle hidden\n",
    ".git/config": b"needle never\n",
    "crlf.txt": b"one\r\nneedle\r\nthree\r\n",
    "utf16.txt": codecs.BOM_UTF16_LE + "one\nneedle ü\n".encode("utf-16-le"),
    "bom.txt": codecs.BOM_UTF8 + b"needle first\n",
    "latin.txt": b"caf\xe9 needle\n",
    "binary.bin": b"needle\nneedle\n\0\n",
    "late.bin": b"x" * 9000 + b"\nneedle before\n" + b"\0\nneedle after\n",
    "picture.pdf": b"%PDF-1.4 needle\n",
    "wide.txt": b"needle " + b"w" * 5000 + b"\n",
    "unicode.txt": "Größe NEEDLE 猫\n".encode(),
    "empty": b"",
    "blank.txt": b"\n\n\n",
    "new\nline.txt": b"needle\n",
    "sp ace.txt": b"needle\n",
    "-dash.txt": b"needle\n",
}


@pytest.fixture
def corpus(root: Path) -> Path:
    for name, data in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "link.py").symlink_to("src/main.py")
    (root / "loop").symlink_to(".")
    (root / "broken").symlink_to("nowhere")
    os.mkfifo(root / "pipe")
    return root


@pytest.fixture(params=["ripgrep", "without"])
def search(request: pytest.FixtureRequest, ctx: ToolContext) -> Search:
    if request.param == "ripgrep" and RIPGREP is None:
        pytest.skip("ripgrep is not installed")
    program = RIPGREP if request.param == "ripgrep" else None
    tools = {"glob": glob_tool(program), "grep": grep_tool(program)}

    async def search(name: str, **arguments: Any) -> str:
        tools[name].access(arguments, ctx.sandbox.place)
        (part,) = (await tools[name].run(arguments, ctx)).content
        assert isinstance(part, Text)
        return part.text

    return search


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"pattern": "*.py"}, "deep/build/out.py src/deep/er/tool.py src/main.py"),
        ({"pattern": "**/*.py"}, "deep/build/out.py src/deep/er/tool.py src/main.py"),
        ({"pattern": "src/*.py"}, "src/main.py"),
        ({"pattern": "/src/*.py", "path": "."}, None),
        ({"pattern": "src/**/*.py"}, "src/deep/er/tool.py src/main.py"),
        (
            {"pattern": "src/**"},
            "src/app.tsx src/back.log src/deep/er/tool.py src/gen/kept.txt src/main.py src/main.ts",
        ),
        ({"pattern": "**/*.{ts,tsx}"}, "src/app.tsx src/main.ts"),
        ({"pattern": "./*.md"}, "README.md"),
        ({"pattern": "*.py", "path": "src"}, "src/deep/er/tool.py src/main.py"),
        ({"pattern": "ma?n.[pt][!y]"}, "src/main.ts"),
        ({"pattern": "*/a"}, "src-x/a src.d/a"),
        ({"pattern": ".env"}, ".env"),
        ({"pattern": "{.env,*.md}"}, ".env README.md"),
        ({"pattern": ".*/**"}, ".hidden/file.py"),
        ({"pattern": "*.py", "path": ".hidden"}, ".hidden/file.py"),
        ({"pattern": "*line.txt"}, "new\\nline.txt"),
        ({"pattern": "sp*.txt"}, "sp ace.txt"),
        ({"pattern": "*.log"}, "keep.log src/back.log"),
        ({"pattern": "-*"}, "-dash.txt"),
        ({"pattern": "*.none"}, "No files match."),
    ],
)
async def test_glob_finds_what_git_would_not_ignore(
    search: Search, corpus: Path, arguments: dict[str, str], expected: str | None
) -> None:
    if expected is None:
        with pytest.raises(ToolError, match=r"^glob failed: the pattern is relative to path, which is \.$"):
            await search("glob", **arguments)
        return
    found = await search("glob", **arguments)
    assert found.replace("sp ace.txt", "sp_ace.txt").split() == (
        expected.replace("sp ace.txt", "sp_ace.txt").split()
        if "No files" not in expected
        else expected.split()
    )


async def test_glob_takes_an_absolute_pattern_below_its_path(search: Search, corpus: Path) -> None:
    assert await search("glob", pattern=f"{corpus}/src/*.py") == "src/main.py"


async def test_glob_counts_what_it_does_not_show(search: Search, root: Path) -> None:
    for number in range(250):
        (root / f"{number:03}").touch()
    lines = (await search("glob", pattern="*")).split("\n")
    assert lines[:200] == [f"{number:03}" for number in range(200)]
    assert lines[200:] == ["[200 of 250 files; narrow the pattern]"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"pattern": "needle", "path": "README.md"}, "README.md\n2:needle in the middle"),
        ({"pattern": "without end$"}, "README.md\n3:last line without end"),
        (
            {"pattern": "def|return", "glob": "*.py"},
            "src/main.py\n3:def needle():\n4:    return os\n7:def other():\n8:    return needle()",
        ),
        (
            {"pattern": r"^def (\w+)", "context": 1},
            "src/main.py\n2-\n3:def needle():\n4-    return os\n--\n6-\n7:def other():\n8-    return needle()",
        ),
        (
            {"pattern": r"^def (\w+)", "context": 2},
            "src/main.py\n1-import os\n2-\n3:def needle():\n4-    return os\n5-\n6-\n7:def other():\n8-    return needle()",
        ),
        ({"pattern": "NEEDLE", "glob": "*.py"}, "src/deep/er/tool.py\n1:NEEDLE = 'needle'"),
        ({"pattern": "größe", "ignore_case": True}, "unicode.txt\n1:Größe NEEDLE 猫"),
        ({"pattern": "^needle$", "path": "crlf.txt", "context": 1}, "crlf.txt\n1-one\n2:needle\n3-three"),
        ({"pattern": "needle", "path": "utf16.txt"}, "utf16.txt\n2:needle ü"),
        ({"pattern": "^needle", "path": "bom.txt"}, "bom.txt\n1:needle first"),
        ({"pattern": "needle$", "path": "latin.txt"}, "latin.txt\n1:caf\ufffd needle"),
        ({"pattern": "^needle w", "path": "wide.txt"}, f"wide.txt\n1:needle {'w' * 493} [line cut]"),
        ({"pattern": "needle", "path": "binary.bin"}, "No matches."),
        ({"pattern": "needle", "path": "late.bin"}, "late.bin\n2:needle before\n4:needle after"),
        ({"pattern": "needle", "path": "empty"}, "No matches."),
        ({"pattern": "^$", "path": "blank.txt"}, "blank.txt\n1:\n2:\n3:"),
        ({"pattern": "needle", "path": ".hidden"}, ".hidden/file.py\n1:needle hidden"),
        ({"pattern": "needle", "path": ".env"}, ".env\n1:needle=hidden"),
        ({"pattern": "needle", "path": "noise.log"}, "noise.log\n1:needle ignored"),
        (
            {"pattern": "needle", "path": "link.py", "limit": 1},
            "link.py\n3:def needle():\n[1 of 2 matching lines in 1 files; raise limit or narrow the search]",
        ),
        ({"pattern": "needle", "glob": ".e*"}, ".env\n1:needle=hidden"),
        ({"pattern": "needle", "glob": "src/**/*.ts"}, "src/main.ts\n1:const needle = 1;"),
        ({"pattern": "needle", "glob": "*.{ts,tsx}", "output": "files"}, "src/app.tsx\nsrc/main.ts"),
        (
            {"pattern": "needle", "glob": "*.py", "output": "count"},
            "deep/build/out.py: 1\nsrc/deep/er/tool.py: 1\nsrc/main.py: 2",
        ),
        (
            {"pattern": "needle", "path": "src", "glob": "*.py", "output": "files"},
            "src/deep/er/tool.py\nsrc/main.py",
        ),
        (
            {"pattern": "needle", "output": "count", "limit": 2},
            "-dash.txt: 1\nREADME.md: 1\n[2 of 22 files; raise limit or narrow the search]",
        ),
        (
            {"pattern": "needle", "limit": 1},
            "-dash.txt\n1:needle\n[1 of 24 matching lines in 22 files; raise limit or narrow the search]",
        ),
        ({"pattern": "-dash", "path": "-dash.txt"}, "No matches."),
        ({"pattern": "nothing like it"}, "No matches."),
    ],
)
async def test_grep_shows_lines_files_or_counts(
    search: Search, corpus: Path, arguments: dict[str, Any], expected: str
) -> None:
    assert await search("grep", **arguments) == expected


async def test_grep_finds_every_file_that_is_not_ignored_in_path_order(search: Search, corpus: Path) -> None:
    found = (await search("grep", pattern="needle", output="files")).split("\n")
    assert found == [
        "-dash.txt",
        "README.md",
        "bom.txt",
        "crlf.txt",
        "deep/anchored/here/a",
        "deep/build/out.py",
        "doc/sub/a.txt",
        "keep.log",
        "late.bin",
        "latin.txt",
        "new\\nline.txt",
        "sp ace.txt",
        "src/app.tsx",
        "src/back.log",
        "src/deep/er/tool.py",
        "src/gen/kept.txt",
        "src/main.py",
        "src/main.ts",
        "src-x/a",
        "src.d/a",
        "utf16.txt",
        "wide.txt",
    ]


async def test_the_rules_of_a_repository_hold_in_its_folders_and_end_at_its_root(
    search: Search, corpus: Path
) -> None:
    (corpus.parent / ".gitignore").write_text("*.md\n", encoding="utf-8")
    assert await search("glob", pattern="*.md") == "README.md"
    assert "made.py" not in await search("glob", pattern="*", path="src/gen")


async def test_a_broken_regular_expression_is_told_as_the_program_says_it(
    search: Search, corpus: Path
) -> None:
    with pytest.raises(ToolError, match=r"^grep failed: regex (?:parse )?error:"):
        await search("grep", pattern="(unclosed")


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        (
            "grep",
            {"pattern": "a\nb"},
            "grep failed: the pattern must fit in one line of at most 10,000 characters",
        ),
        ("grep", {"pattern": r"a\nb"}, "grep failed: the pattern must fit in one line"),
        ("grep", {"pattern": "a\0b"}, "grep failed: the pattern must fit in one line"),
        ("grep", {"pattern": "a" * 10_001}, "grep failed: the pattern must fit in one line"),
        (
            "grep",
            {"pattern": "a", "glob": "[z-a]"},
            r"grep failed: the glob \[z-a\] is broken: bad character range",
        ),
        ("glob", {"pattern": "[z-a]"}, r"glob failed: the glob \[z-a\] is broken: bad character range"),
        ("glob", {"pattern": "*", "path": "README.md"}, "glob failed: README.md is not a folder"),
        ("glob", {"pattern": "*", "path": "scr"}, "glob failed: scr does not exist; near names in .: src"),
        ("grep", {"pattern": "a", "path": "scr"}, "grep failed: scr does not exist; near names in .: src"),
    ],
)
async def test_what_cannot_be_searched_is_explained(
    search: Search, corpus: Path, name: str, arguments: dict[str, str], why: str
) -> None:
    with pytest.raises(ToolError, match=f"^{why}"):
        await search(name, **arguments)


async def test_a_backslash_before_an_n_may_be_searched(search: Search, root: Path) -> None:
    (root / "f").write_text("a\\name\n", encoding="utf-8")
    assert await search("grep", pattern=r"\\name") == "f\n1:a\\name"


async def test_a_result_is_bounded_in_characters(search: Search, root: Path) -> None:
    (root / "f").write_text(f"{'x' * 400}\n" * 1000, encoding="utf-8")
    text = await search("grep", pattern="x", limit=1000)
    assert 40_000 <= len(text) < 42_000
    assert text.endswith("[100 of 1,000 matching lines in 1 files; raise limit or narrow the search]")


async def test_counting_ends_somewhere(search: Search, root: Path) -> None:
    (root / "f").write_text("x\n" * 150_000, encoding="utf-8")
    text = await search("grep", pattern="x", limit=2)
    assert (
        text
        == "f\n1:x\n2:x\n[2 of at least 100,000 matching lines in 1 files; raise limit or narrow the search]"
    )


async def test_a_long_file_is_left_out_unless_it_is_named(search: Search, root: Path) -> None:
    with (root / "long").open("wb") as file:
        file.write(b"needle\n" + (b"x" * 999 + b"\n") * 21_000)
    assert await search("grep", pattern="needle") == "No matches."
    assert await search("grep", pattern="needle", path="long") == "long\n1:needle"


async def test_what_cannot_be_read_is_left_out(search: Search, root: Path) -> None:
    (root / "closed").mkdir()
    (root / "closed" / "f").write_text("needle\n", encoding="utf-8")
    (root / "open").write_text("needle\n", encoding="utf-8")
    (root / "closed").chmod(0)
    try:
        found = await search("grep", pattern="needle", output="files")
    finally:
        (root / "closed").chmod(0o700)
    assert found.split("\n")[-1] == "open"


@pytest.mark.parametrize("tool", [glob_tool(None), grep_tool(None)])
def test_a_search_only_reads(tool: Any, ctx: ToolContext, root: Path) -> None:
    access = tool.access({"pattern": "x", "path": "src"}, ctx.sandbox.place)
    assert access == Access(tool=tool.spec.name, reads=(f"{root}/src",))


class OtherProcesses:
    """Starts another program than the one that was asked for, and keeps the profile."""

    level = "none"

    def __init__(self, argv: tuple[str, ...]) -> None:
        self.argv = argv
        self.profiles: list[Profile] = []
        self._real: Processes = local_processes({"PATH": os.defpath})

    def spawn(self, command: Command, profile: Profile, *, stdin: bool = False) -> Any:
        self.profiles.append(profile)
        if not self.argv:
            raise SandboxError("There is no sandbox here.")
        return self._real.spawn(replace(command, argv=self.argv), profile, stdin=stdin)


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ((), "There is no sandbox here."),
        (("/does/not/exist",), "Cannot start /does/not/exist"),
        (("sh", "-c", "echo broken; exit 3"), "broken"),
        (("sh", "-c", "echo cannot go there; exit 1"), "cannot go there"),
        (("sh", "-c", "kill -9 $$"), "the search program ended with -9"),
    ],
)
async def test_a_search_program_that_fails_is_told(ctx: ToolContext, argv: tuple[str, ...], why: str) -> None:
    processes = OtherProcesses(argv)
    ctx = replace(ctx, sandbox=replace(ctx.sandbox, processes=processes))
    with pytest.raises(ToolError, match=f"^grep failed: {why}"):
        await grep_tool(None).run({"pattern": "x"}, ctx)
    assert processes.profiles == [Profile(write_roots=())]


async def test_a_file_that_vanished_meanwhile_is_left_out(ctx: ToolContext) -> None:
    processes = OtherProcesses(("printf", r"./gone\0001:needle\n"))
    ctx = replace(ctx, sandbox=replace(ctx.sandbox, processes=processes))
    assert (await grep_tool(None).run({"pattern": "x"}, ctx)).content == (Text(text="No matches."),)


async def test_a_cancelled_search_leaves_nothing_running(ctx: ToolContext, root: Path) -> None:
    os.mkfifo(root / "ready")
    processes = OtherProcesses(("sh", "-c", "echo $$ >ready; exec sleep 60"))
    ctx = replace(ctx, sandbox=replace(ctx.sandbox, processes=processes))
    pid = ""
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(grep_tool(None).run, {"pattern": "x"}, ctx)
            pid = await anyio.Path(root / "ready").read_text(encoding="utf-8")
            group.cancel_scope.cancel()
    assert int(pid) > 1
    assert not await anyio.Path("/proc", pid.strip()).exists()
