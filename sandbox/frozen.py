"""Frozen classes: their instances cannot be changed, and are equal when their fields are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Make of a class what `dataclass(frozen=True, slots=True)` makes of it, in a tenth of the time.

    That one compiles seven functions for each class, and a start defines a hundred classes: a sixth of it went there.
    Here all share six of them, and `__init__` is compiled when the first instance is made. Of what `field` takes,
    defaults, factories and `repr` count. See decision 0020.
    """
    if cls.__doc__ is None:
        cls.__doc__ = cls.__name__  # else a signature is worked out, to stand there
    own = frozenset(vars(cls))
    made = dataclass(init=False, repr=False, eq=False, slots=True)(cls)

    def first(self: object, *given: object, **named: object) -> None:
        made.__init__ = init = _initializer(made)
        init(self, *given, **named)

    for name, method in (*_SHARED.items(), ("__init__", first)):
        if name not in own:
            setattr(made, name, method)
    return made


def _initializer(cls: type[Any]) -> Callable[..., None]:
    """Compile the method that takes the fields in their order."""
    known: dict[str, Any] = {"_put": object.__setattr__}
    parameters = ["self"]
    lines: list[str] = []
    for one in fields(cls):
        default = f"_{one.name}"
        if one.default is MISSING and one.default_factory is MISSING:
            parameters.append(one.name)
        else:
            known[default] = one.default if one.default_factory is MISSING else one.default_factory
            parameters.append(f"{one.name}={default}")
        made = one.default_factory is not MISSING
        given = f"{default}() if {one.name} is {default} else {one.name}" if made else one.name
        lines.append(f" _put(self, {one.name!r}, {given})")
    # The names are those of the class's own fields; `dataclasses` makes its methods in this way too.
    exec("\n".join((f"def __init__({', '.join(parameters)}):", *(lines or [" pass"]))), known)  # noqa: S102
    return known["__init__"]


def _values(one: Any) -> tuple[object, ...]:
    return tuple([getattr(one, name) for name in one.__match_args__])


def _equals(self: object, other: object) -> bool:
    return _values(self) == _values(other) if type(self) is type(other) else NotImplemented


def _hash(self: object) -> int:
    return hash(_values(self))


def _repr(self: Any) -> str:
    told = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({told})"


def _refuse(self: object, name: str, *_: object) -> None:
    raise FrozenInstanceError(f"{type(self).__qualname__}.{name} cannot be changed")


def _reduce(self: object) -> tuple[object, ...]:
    return type(self), _values(self)


_SHARED: dict[str, Callable[..., object]] = {
    "__eq__": _equals,
    "__hash__": _hash,
    "__repr__": _repr,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__reduce__": _reduce,
}
