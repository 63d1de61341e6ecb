from __future__ import annotations

from treadle.sandbox.contract import Access, Place
from treadle.tools.contract import Frozen, Outcome, Tool, ToolContext
from treadle.tools.define import define
from treadle.tools.toolbox import Toolbox


class Nothing(Frozen):
    pass


def named(name: str, description: str = "") -> Tool:
    def access(arguments: Nothing, place: Place) -> Access:
        return Access(tool=name, free=True)

    async def run(arguments: Nothing, ctx: ToolContext) -> Outcome:
        return Outcome(())

    return define(name, Nothing, description=description, access=access, run=run)


def names(toolbox: Toolbox) -> list[str]:
    return [spec.name for spec in toolbox.snapshot().specs]


def test_tools_come_by_name_within_a_source_and_by_source() -> None:
    toolbox = Toolbox()
    toolbox.plug("one", [named("b"), named("a")])
    toolbox.plug("two", [named("0")])
    assert names(toolbox) == ["a", "b", "0"]


def test_plugging_a_source_again_keeps_its_place() -> None:
    toolbox = Toolbox()
    toolbox.plug("one", [named("a")])
    toolbox.plug("two", [named("b")])
    toolbox.plug("one", [named("c")])
    assert names(toolbox) == ["c", "b"]


def test_the_first_source_with_a_name_counts() -> None:
    toolbox = Toolbox()
    first = named("a", "first")
    toolbox.plug("one", [first])
    toolbox.plug("two", [named("a", "second")])
    assert toolbox.snapshot().tools["a"] is first


def test_deferred_tools_are_not_told() -> None:
    toolbox = Toolbox()
    toolbox.plug("one", [named("a")])
    toolbox.plug("two", [named("b")], deferred=True)
    snapshot = toolbox.snapshot()
    assert [spec.name for spec in snapshot.specs] == ["a"]
    assert list(snapshot.deferred) == ["b"]


def test_a_snapshot_does_not_change() -> None:
    toolbox = Toolbox()
    toolbox.plug("one", [named("a")])
    before = toolbox.snapshot()
    toolbox.unplug("one")
    toolbox.unplug("one")
    assert list(before.tools) == ["a"]
    assert names(toolbox) == []
    assert toolbox.snapshot().revision == before.revision + 1
