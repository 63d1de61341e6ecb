from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from treadle.agent.config import Config, ConfigError, Folders, environment, folders, load


class Layers:
    """Settings in each place that they can come from."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.env: dict[str, str] = {"HOME": str(base), "XDG_CONFIG_HOME": str(base / "config")}

    def user(self, toml: str | bytes) -> Path:
        return self._write(self.base / "config/treadle/config.toml", toml)

    def project(self, toml: str | bytes) -> Path:
        return self._write(self.base / "work/.treadle/config.toml", toml)

    def load(self, *assignments: str, project: Path | None = None, **flags: Any) -> Config:
        named = {key.replace("__", "."): value for key, value in flags.items()}
        return load(self.env, named, assignments, project)

    def _write(self, file: Path, toml: str | bytes) -> Path:
        file.parent.mkdir(parents=True)
        file.write_bytes(toml if isinstance(toml, bytes) else toml.encode())
        return file


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return Layers(tmp_path)


def test_without_any_setting_every_choice_is_left_to_the_parts(layers: Layers) -> None:
    assert layers.load() == Config()


def test_each_place_wins_over_the_one_below_it(layers: Layers) -> None:
    layers.user('model = "v/user"\n[limits]\nsteps = 1\ntokens = 1')
    project = layers.project('model = "v/project"\n[limits]\nsteps = 2')
    assert (layers.load().model, layers.load().limits.steps) == ("v/user", 1)
    with_project = layers.load(project=project)
    assert (with_project.model, with_project.limits.steps, with_project.limits.tokens) == ("v/project", 2, 1)
    layers.env |= {"TREADLE_MODEL": "v/env", "TREADLE_LIMITS__STEPS": "3", "TREADLE_MOCK_URL": "not ours"}
    assert (layers.load(project=project).model, layers.load(project=project).limits.steps) == ("v/env", 3)
    assigned = layers.load("model=v/assigned", "limits.steps=4", project=project)
    assert (assigned.model, assigned.limits.steps) == ("v/assigned", 4)
    flagged = layers.load(
        "model=v/assigned", "limits.steps=4", model="v/flag", limits__steps=5, project=project
    )
    assert (flagged.model, flagged.limits.steps, flagged.limits.tokens) == ("v/flag", 5, 1)


def test_a_flag_that_was_not_given_changes_nothing(layers: Layers) -> None:
    layers.user('model = "v/user"\nreply = {sampling = {stop = ["X"]}}')
    config = layers.load(model=None, reply__sampling__stop=())
    assert (config.model, config.reply.sampling.stop) == ("v/user", ("X",))


def test_rules_add_up_so_that_no_place_takes_a_refusal_of_another_away(layers: Layers) -> None:
    layers.user('deny = ["Edit(secrets/**)"]\nallow = ["Shell(ls)"]')
    project = layers.project('deny = ["Shell(rm *)"]')
    layers.env["TREADLE_DENY"] = '["Read(.env)"]'
    config = layers.load('deny=["Shell(dd *)"]', deny=("Fetch(evil.example)",), project=project)
    assert config.deny == (
        "Edit(secrets/**)",
        "Shell(rm *)",
        "Read(.env)",
        "Shell(dd *)",
        "Fetch(evil.example)",
    )
    assert config.allow == ("Shell(ls)",)


@pytest.mark.parametrize(
    ("assignment", "read"),
    [
        ("reply.sampling.temperature=0", {"reply": {"sampling": {"temperature": 0.0}}}),
        ('reply.sampling.stop=["a", "b"]', {"reply": {"sampling": {"stop": ("a", "b")}}}),
        ("limits={steps = 7}", {"limits": {"steps": 7}}),
        ("model = v/m", {"model": "v/m"}),
        ('model="v/a=b"', {"model": "v/a=b"}),
        ("connection.retries.attempts=2", {"connection": {"retries": {"attempts": 2}}}),
        ('models={"v/m.1" = {max_output = 9}}', {"models": {"v/m.1": {"max_output": 9}}}),
    ],
)
def test_an_assignment_is_a_dotted_key_and_a_toml_value(
    layers: Layers, assignment: str, read: Mapping[str, Any]
) -> None:
    assert layers.load(assignment) == Config.model_validate(read)


def test_an_assigned_table_adds_to_the_table_below_it(layers: Layers) -> None:
    layers.user("[limits]\nsteps = 1\ntokens = 1")
    limits = layers.load("limits={steps = 7}").limits
    assert (limits.steps, limits.tokens) == (7, 1)


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("model_ = 1", "unknown key 'model_'; did you mean 'model'?"),
        ("zzz = 1", "unknown key 'zzz'; known are model, effort"),
        ("[limits]\nstep = 1", "unknown key 'limits.step'; did you mean 'steps'?"),
        ("[connection.retries]\natempts = 1", "did you mean 'attempts'?"),
        ('[providers.own]\nbase_ur = "x"', "unknown key 'providers.own.base_ur'; did you mean 'base_url'?"),
        ('[models."v/*"]\nmax_ouput = 1', "did you mean 'max_output'?"),
        ('[models."v/*".price]\ninpt = 1', "did you mean 'input'?"),
        ("[limits]\nsteps = 0", "limits.steps: Input should be greater than or equal to 1, not 0"),
        ('mode = "fast"', "mode: Input should be"),
        ("limits = 3", "limits: "),
        ('model = "', "not valid TOML"),
        (b'model = "\xff"', "not valid TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_on_one_line_with_the_file_and_what_was_meant(
    layers: Layers, toml: str | bytes, told: str
) -> None:
    file = layers.user(toml)
    with pytest.raises(ConfigError) as raised:
        layers.load()
    assert str(raised.value).startswith(f"{file}: ")
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_config_file_that_cannot_be_read_is_named_and_one_below_a_file_is_none(layers: Layers) -> None:
    (layers.base / "config/treadle/config.toml").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"config\.toml: cannot be read"):
        layers.load()
    layers.env["XDG_CONFIG_HOME"] = "/dev/null"
    assert layers.load() == Config()


@pytest.mark.parametrize(
    ("assignments", "flags", "env", "told"),
    [
        (["steps"], {}, {}, "-c steps: write it as KEY=VALUE"),
        (["=1"], {}, {}, "-c =1: write it as KEY=VALUE"),
        (["limits.stops=1"], {}, {}, "settings: unknown key 'limits.stops'; did you mean 'steps'?"),
        (
            ["model.name=1"],
            {"model": None},
            {"TREADLE_MODEL": "v/m"},
            "model.name: model is a value, not a table",
        ),
        (["limits.cost=-1"], {}, {}, "settings: limits.cost: "),
        ([], {"limits__steps": "x"}, {}, "settings: limits.steps: "),
        (
            [],
            {},
            {"TREADLE_LIMITS__STEPZ": "1"},
            "settings: unknown key 'limits.stepz'; did you mean 'steps'?",
        ),
        ([], {}, {"TREADLE_SANDBOX": "bwarp"}, "settings: sandbox: "),
        ([], {}, {"TREADLE_LIMIT__STEPS": "1"}, "TREADLE_LIMIT__STEPS: no setting has this name"),
        ([], {"deny": ("Edit(",)}, {}, "settings: 'Edit(' is not a rule"),
        (['allow=["Plan(x)"]'], {}, {}, "settings: Plan takes no pattern"),
    ],
)
def test_what_is_wrong_elsewhere_is_told_with_its_key(
    layers: Layers, assignments: list[str], flags: Mapping[str, Any], env: Mapping[str, str], told: str
) -> None:
    layers.env |= env
    with pytest.raises(ConfigError) as raised:
        layers.load(*assignments, **flags)
    assert told in str(raised.value)


def test_variables_of_ours_that_are_no_settings_are_left_alone(layers: Layers) -> None:
    layers.env |= {"TREADLE_MOCK_URL": "http://127.0.0.1:1", "MODEL": "v/m"}
    assert layers.load() == Config()


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ('[providers.openai]\nbase_url = "http://evil.example"', "providers cannot be set by a project"),
        ('[models."v/*"]\nmax_output = 1', "models cannot be set by a project"),
        ('sandbox = "none"', "sandbox cannot be set by a project"),
        ('mode = "yolo"', "mode yolo cannot be set by a project"),
        ("model_ = 1", "did you mean 'model'?"),
    ],
)
def test_a_project_cannot_set_what_sends_keys_elsewhere_or_weakens_the_sandbox(
    layers: Layers, toml: str, told: str
) -> None:
    project = layers.project(toml)
    with pytest.raises(ConfigError) as raised:
        layers.load(project=project)
    assert str(raised.value).startswith(f"{project}: ")
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("env", "found"),
    [
        ({"HOME": "/h"}, Folders(Path("/h/.config/treadle"), Path("/h/.local/state/treadle"))),
        (
            {"HOME": "/h", "XDG_CONFIG_HOME": "rel"},
            Folders(Path("/h/.config/treadle"), Path("/h/.local/state/treadle")),
        ),
        ({"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s"}, Folders(Path("/c/treadle"), Path("/s/treadle"))),
        ({}, Folders(Path("/.config/treadle"), Path("/.local/state/treadle"))),
    ],
)
def test_our_folders_follow_the_xdg_specification(env: Mapping[str, str], found: Folders) -> None:
    assert folders(env) == found
    assert folders(env).sessions == found.state / "sessions"


def test_the_environment_is_a_copy_of_what_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREADLE_MODEL", "v/m")
    assert environment()["TREADLE_MODEL"] == "v/m"


def test_what_is_set_for_this_process_alone_is_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "__all__")
    assert "PYDANTIC_DISABLE_PLUGINS" not in environment()
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "logfire")
    assert environment()["PYDANTIC_DISABLE_PLUGINS"] == "logfire"
