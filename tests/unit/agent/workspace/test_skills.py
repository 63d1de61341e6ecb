from __future__ import annotations

from pathlib import Path

import pytest

from treadle.agent.workspace.front_matter import parse
from treadle.agent.workspace.skills import (
    Skill,
    body,
    project_skill_files,
    read_skills,
    resources,
    user_skill_files,
)

GOOD = "---\nname: pdf\ndescription: Fills PDF forms. Use for PDFs.\n---\nDo it well.\n"


def write(folder: Path, text: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "SKILL.md"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


@pytest.mark.parametrize(
    ("text", "description"),
    [
        (GOOD, "Fills PDF forms. Use for PDFs."),
        (GOOD.replace("\n", "\r\n"), "Fills PDF forms. Use for PDFs."),
        (b"\xef\xbb\xbf" + GOOD.encode(), "Fills PDF forms. Use for PDFs."),
        (
            "---\nname: pdf\ndescription: Use when: a form is to be filled\n---\n",
            "Use when: a form is to be filled",
        ),
        ("---\nname: pdf\ndescription: >\n  Two\n  lines\nlicense: MIT\n---\nx", "Two lines"),
        ('---\nname: "pdf"\ndescription: "Quoted: yes"\n---\nx', "Quoted: yes"),
        ("---\nname: pdf\ndescription: it's a: trap\nmetadata:\n  a: b\n---\nx", "it's a: trap"),
        ("---\nname: pdf\ndescription: Lists\nallowed-tools: [Read, Bash]\n---\nx", "Lists"),
        ("---\ndescription: The folder names it\n---\nx", "The folder names it"),
        ("---\nname: pdf\ndescription: No end of line\n---", "No end of line"),
        ("---\nname: pdf\ndescription: null\n---\nx", None),
        ("---\nname: pdf\n---\nNo description.", None),
        ("Only a body.", None),
        ("---\n- a\n- list\n---\nx", None),
        ("---\nname: [unclosed\ndescription: {also\n---\nx", None),
        ("", None),
    ],
)
def test_a_skill_is_read_leniently_and_left_out_with_a_line(
    tmp_path: Path, text: str | bytes, description: str | None
) -> None:
    file = write(tmp_path / "pdf", text)
    skills, odd = read_skills((file,), (), parse)
    if description is None:
        assert skills == ()
        assert [line.partition(": ")[0] for line in odd] == [str(file)]
    else:
        assert (skills, odd) == ((Skill("pdf", description, file.parent, "project"),), ())


def test_an_odd_name_is_taken_with_a_line(tmp_path: Path) -> None:
    file = write(tmp_path / "pdf", "---\nname: PDF Tools\ndescription: d\n---\n")
    (skill,), (line,) = read_skills((file,), (), parse)
    assert skill.name == "PDF Tools"
    assert "its name should be" in line


def test_the_nearest_of_two_with_one_name_counts_and_the_projects_before_the_users(tmp_path: Path) -> None:
    root, home = tmp_path / "repo", tmp_path / "home"
    (root / ".git").mkdir(parents=True)
    for place in (root / ".agents", root / "sub/.claude", home / ".agents"):
        write(place / "skills/pdf", GOOD.replace("Fills", str(place.relative_to(tmp_path))))
    write(home / ".claude/skills/own", "---\nname: own\ndescription: Mine.\n---\n")
    skills, odd = read_skills(project_skill_files(root / "sub"), user_skill_files(home), parse)
    assert [(skill.name, skill.source, skill.description.split()[0]) for skill in skills] == [
        ("own", "user", "Mine."),
        ("pdf", "project", "repo/sub/.claude"),
    ]
    assert len(odd) == 2
    assert (skills, odd) == read_skills(project_skill_files(root / "sub"), user_skill_files(home), parse)


def test_links_in_a_circle_deep_and_many_folders_are_bounded(tmp_path: Path) -> None:
    place = tmp_path / ".agents/skills"
    write(place / "a/b/c", GOOD)
    write(place / "a/b/d/e", GOOD)
    (place / "round").symlink_to(place)
    for number in range(300):
        (place / f"x{number}").mkdir()
    assert project_skill_files(tmp_path) == (place / "a/b/c/SKILL.md",)


def test_what_belongs_to_a_skill_is_named_and_its_body_has_no_front_matter(tmp_path: Path) -> None:
    file = write(tmp_path / "pdf", GOOD)
    (tmp_path / "pdf/scripts").mkdir()
    for name in ("z.md", "scripts/fill.py"):
        (tmp_path / "pdf" / name).write_text("x", encoding="utf-8")
    assert resources(tmp_path / "pdf") == (tmp_path / "pdf/z.md", tmp_path / "pdf/scripts/fill.py")
    (skill,), _ = read_skills((file,), (), parse)
    assert body(skill) == "Do it well."


def test_a_skill_for_the_user_alone_is_hidden(tmp_path: Path) -> None:
    text = "---\nname: pdf\ndescription: d\ndisable-model-invocation: true\n---\n"
    (skill,), _ = read_skills((write(tmp_path / "pdf", text),), (), parse)
    assert skill.hidden
