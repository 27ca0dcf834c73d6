"""Values on which two models differ, entry by entry, rule by rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from planner.infrastructure.entities import Model

#: Sections of a model that say what is asked of a plan, in the order of a reader's interest.
ASKED = (
    "standard",
    "policies",
    "finance",
    "generators",
    "scenarios",
    "tiers",
    "zones",
    "shapes",
    "climates",
    "operations",
    "simulation",
)
#: Fields that change nothing.
SPOKEN = frozenset({"name", "description", "source"})
#: Most entries of a list of numbers that are told one by one.
MOST_NUMBERS = 5
#: Stands for what one side does not have.
NOTHING: Any = object()


@dataclass(frozen=True)
class ValueChange:
    """A value on which two models differ.

    Parameters
    ----------
    path
        Dotted path in the model, or the name of a setting.
    before, after
        Plain data; None where a side has no such entry, or the value is none.
    only_in
        Side that has the entry, where one has not.
    parts
        First two parts of the path: section and entry or field; none for settings.
    """

    path: str
    before: Any
    after: Any
    only_in: Literal["a", "b", ""] = ""
    parts: tuple[str, ...] = ()

    @property
    def section(self) -> str:
        """Section of the model."""
        return self.parts[0] if self.parts else ""

    @property
    def asked(self) -> bool:
        """Whether it is a requirement on plans, not part of what exists or can be bought."""
        return self.section in ASKED


def model_changes(a: Model, b: Model) -> tuple[ValueChange, ...]:
    """Values on which two models differ, by path, requirements on plans first.

    Rules and events of a list are compared with their likes wherever these stand; those that only
    one model has are told as a whole. So are names of a list.
    """
    was, now = (_plain(value) for value in (a, b))
    found = list(_differing("", was, now))
    order = {section: number for number, section in enumerate(ASKED)}
    return tuple(sorted(found, key=lambda change: order.get(change.section, len(order))))


def _plain(model: Model) -> dict[str, Any]:
    data = model.model_dump(mode="json")
    return {key: value for key, value in data.items() if key not in SPOKEN}


def _differing(path: str, was: Any, now: Any, parts: tuple[str, ...] = ()) -> Iterable[ValueChange]:
    if was == now:
        return  # 1 and 1.0 too
    lists = [value for value in (was, now) if isinstance(value, list)]
    if isinstance(was, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*was, *now)):
            if not (path and key in SPOKEN):
                deeper, where = f"{path}.{key}" if path else key, (*parts, key)[:2]
                yield from _differing(deeper, was.get(key, NOTHING), now.get(key, NOTHING), where)
    elif any(_records(entries) for entries in lists) and (
        _records_or_none(was) and _records_or_none(now)
    ):
        yield from _of_records(path, _listed(was), _listed(now), parts)
    elif len(lists) == 2 and all(isinstance(entry, str) for entry in (*was, *now)):
        yield from _of_names(path, was, now, parts)
    elif len(lists) == 2 and _few_differ(was, now):
        for index, (old, new) in enumerate(zip(was, now, strict=True)):
            yield from _differing(f"{path}[{index}]", old, new, parts)
    elif now is NOTHING:
        yield ValueChange(path, was, None, "a", parts)
    elif was is NOTHING:
        yield ValueChange(path, None, now, "b", parts)
    else:
        yield ValueChange(path, was, now, parts=parts)


def _records(value: Any) -> bool:
    return (
        isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)
    )


def _records_or_none(value: Any) -> bool:
    return value is NOTHING or value == [] or _records(value)


def _listed(value: Any) -> list[Any]:
    return [] if value is NOTHING else value


def _few_differ(was: Sequence[Any], now: Sequence[Any]) -> bool:
    """Whether two lists are as long and differ in a few places."""
    if len(was) != len(now):
        return False
    differ = [old for old, new in zip(was, now, strict=True) if old != new]
    return len(differ) <= MOST_NUMBERS


def _of_names(
    path: str, was: list[str], now: list[str], parts: tuple[str, ...]
) -> Iterable[ValueChange]:
    """Names that only one list has, or two orders of the same."""
    if set(was) == set(now):
        yield ValueChange(path, was, now, parts=parts)
    for name in was:
        if name not in now:
            yield ValueChange(f"{path}[{name}]", name, None, "a", parts)
    for name in now:
        if name not in was:
            yield ValueChange(f"{path}[{name}]", None, name, "b", parts)


def _of_records(
    path: str, was: list[Any], now: list[Any], parts: tuple[str, ...]
) -> Iterable[ValueChange]:
    """Entries that only one list has, and what differs between those that are alike.

    The number in a path is that of the second list, as its model is the one to be changed.
    """
    pairs = _pairs(was, now)
    for number, new in enumerate(now):
        if number in pairs:
            yield from _differing(f"{path}[{number}]", was[pairs[number]], new, parts)
        else:
            yield ValueChange(f"{path}[{number}]", None, _known(new), "b", parts)
    for number, old in enumerate(was):
        if number not in pairs.values():
            yield ValueChange(f"{path}[{number}]", _known(old), None, "a", parts)


def _known(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without its empty fields."""
    return {key: value for key, value in record.items() if value is not None}


def _pairs(was: Sequence[Any], now: Sequence[Any]) -> dict[int, int]:
    """Entries of a list that are alike by their place there: those of another by theirs.

    Alike are those that agree in every text and in something else, if they have anything else; the
    most alike find each other first.
    """
    alike = sorted(
        (-agree, abs(at - number), at, number)
        for at, old in enumerate(was)
        for number, new in enumerate(now)
        if (agree := _agreement(_known(old), _known(new)))
    )
    pairs: dict[int, int] = {}
    for _, _, at, number in alike:
        if number not in pairs and at not in pairs.values():
            pairs[number] = at
    return pairs


def _agreement(old: dict[str, Any], new: dict[str, Any]) -> float:
    """Share of fields in which two records agree; 0 where their names or kinds differ."""
    same = {key for key in old.keys() & new.keys() if old[key] == new[key]}
    fields = old.keys() | new.keys()
    texts = {key for key in fields if str in (type(old.get(key)), type(new.get(key)))}
    if not texts <= same or (fields > texts and same <= texts):
        return 0.0
    return len(same) / max(1, len(fields))
