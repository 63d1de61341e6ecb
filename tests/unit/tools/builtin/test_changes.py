from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from treadle.sandbox.contract import Version
from treadle.tools.builtin.changes import Seen, change


def test_a_file_is_stale_when_its_content_changed_and_not_when_it_was_touched() -> None:
    seen = Seen()
    assert seen.stale("/f", Version("a", 1, 1)) is None
    seen.note("/f", Version("a", 1, 1))
    assert seen.stale("/f", Version("a", 1, 2)) is False
    assert seen.stale("/f", Version("b", 1, 1)) is True


@pytest.mark.parametrize("number", range(30))
def test_the_diff_makes_the_new_file_of_the_old_one(number: int, tmp_path: Path) -> None:
    chance = random.Random(number)
    lines = [f"{chance.randrange(30)}\n" for _ in range(chance.randrange(1, 200))]
    new = list(lines)
    for _ in range(chance.randrange(1, 4)):
        spot = chance.randrange(len(new) + 1)
        new[spot : spot + chance.randrange(3)] = [f"new {spot}\n"] * chance.randrange(3)
    (tmp_path / "f").write_text("".join(lines), encoding="utf-8")
    done = change("f", "".join(lines).encode(), "".join(new).encode())
    subprocess.run(["git", "apply", "--allow-empty"], input=done.diff.encode(), cwd=tmp_path, check=True)
    assert (tmp_path / "f").read_text(encoding="utf-8") == "".join(new)
    assert len(new) - len(lines) == done.added - done.removed


def test_a_very_long_diff_is_cut() -> None:
    done = change("f", None, b"0123456789\n" * 20_000)
    assert len(done.diff) < 65_000
    assert done.diff.endswith("+0123456789\n[the rest of this diff is left out]\n")
    assert (done.kind, done.added) == ("add", 20_000)


def test_no_change_has_no_diff() -> None:
    done = change("f", b"a\n", b"a\n")
    assert (done.diff, done.stat) == ("", "+0 -0 lines")
