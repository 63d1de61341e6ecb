from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, field, replace
from typing import Any

import pytest

from treadle.sandbox.frozen import frozen


@frozen
class Point:
    """Where something is."""

    x: int
    y: int = 0
    tags: list[str] = field(default_factory=list[str])
    key: str = field(default="k", repr=False)

    @property
    def sum(self) -> int:
        return self.x + self.y


@frozen
class Other:
    x: int
    y: int = 0


@frozen
class Nothing: ...


@frozen
class Odd:
    x: int

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 7

    def __repr__(self) -> str:
        return "odd"


def test_fields_are_taken_in_order_and_by_name_with_their_defaults() -> None:
    point = Point(1, tags=["a"])
    assert (point.x, point.y, point.tags, point.key, point.sum) == (1, 0, ["a"], "k", 1)
    assert Nothing() == Nothing()


def test_a_factory_makes_a_new_value_for_each_instance() -> None:
    assert Point(1).tags is not Point(1).tags


@pytest.mark.parametrize(("given", "named"), [((), {}), ((1, 2, ["a"], "", 3), {}), ((1,), {"z": 2})])
def test_what_is_missing_or_too_much_is_refused(given: tuple[Any, ...], named: dict[str, Any]) -> None:
    make: Callable[..., Point] = Point
    with pytest.raises(TypeError):
        make(*given, **named)


def test_instances_are_equal_when_class_and_fields_are() -> None:
    assert Point(1, 2) == Point(1, 2)
    assert Point(1, 2) != Point(1, 3)
    assert Other(1, 2) != Point(1, 2)
    assert {Other(1, 2): "found"}[Other(1, 2)] == "found"


def test_nothing_can_be_changed_removed_or_added() -> None:
    point: Any = Point(1)
    for change in (
        lambda: setattr(point, "x", 2),
        lambda: delattr(point, "x"),
        lambda: setattr(point, "new", 1),
    ):
        with pytest.raises(FrozenInstanceError):
            change()
    assert not hasattr(point, "__dict__")


def test_a_secret_field_is_not_shown() -> None:
    assert repr(Point(1, 2)) == "Point(x=1, y=2, tags=[])"


def test_it_is_a_dataclass_for_all_that_asks() -> None:
    assert replace(Point(1, 2), x=3) == Point(3, 2)
    assert asdict(Other(1, 2)) == {"x": 1, "y": 2}
    match Other(1, 2):
        case Other(x, y):
            assert (x, y) == (1, 2)


def test_it_can_be_copied() -> None:
    point = Point(1, tags=["a"])
    for made in (copy.copy(point), copy.deepcopy(point)):
        assert made == point


def test_a_class_keeps_methods_of_its_own() -> None:
    assert repr(Odd(1)) == "odd"
    assert {Odd(1)} == {Odd(2)}
