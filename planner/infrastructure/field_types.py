"""Types of the values at the paths of a model, from the annotations of `Model`."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from planner.infrastructure.entities import Model
from planner.infrastructure.source import Path_

#: Sections that list entities by name.
SECTIONS = (
    "regions",
    "gpus",
    "clusters",
    "cooling_units",
    "plants",
    "feeds",
    "services",
    "tiers",
    "zones",
    "offers",
    "measures",
    "scenarios",
)
#: Sections of lists of hourly numbers by name, columns where they are a table.
SERIES = ("shapes", "climates")


def plain_types(annotation: Any) -> set[Any]:
    """Scalar types that a value of an annotated field may have."""
    inner = [plain_types(part) for part in get_args(annotation)]
    return {annotation}.union(*inner) if get_origin(annotation) is not tuple else set()


def field_of(path: Path_) -> str:
    """Name of the field at or above a path, which ends in the unit."""
    for length in range(len(path), 0, -1):
        if field_info(path[:length]) is not None:
            return str(path[length - 1])
    return ""


def default_at(path: Path_) -> Any:
    """Default of a field, None where it has none or there is no such field."""
    field = field_info(path)
    return None if field is None or field.is_required() else field.get_default()


def field_info(path: Path_) -> FieldInfo | None:
    """Field of an entity at a path, None where there is none."""
    for owner in (member for kind in types_at(path[:-1]) for member in members(kind)):
        if isinstance(owner, type) and issubclass(owner, BaseModel):
            field = owner.model_fields.get(str(path[-1]))
            if field is not None:
                return field
    return None


def types_at(path: Path_) -> list[Any]:
    """Types that the value at a path of a model may have."""
    types: list[Any] = [Model]
    for part in path:
        types = [inner for outer in types for inner in types_below(outer, part)]
    return types


def types_below(outer: Any, part: int | str) -> list[Any]:
    """Types of the values at a key, index or field of a type."""
    if isinstance(outer, type) and issubclass(outer, BaseModel):
        return [outer.model_fields[str(part)].annotation] if part in outer.model_fields else []
    origin, inner = get_origin(outer), get_args(outer)
    if origin is None:
        alias = getattr(outer, "__value__", None)
        return [] if alias is None else types_below(alias, part)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return members(inner[1])
    if origin in (tuple, list):
        return members(inner[0])
    return [below for argument in inner for below in types_below(argument, part)]


def members(annotation: Any) -> list[Any]:
    """Members of a union, or the type itself, without metadata."""
    if get_origin(annotation) is Annotated:
        return members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [member for argument in get_args(annotation) for member in members(argument)]
    return [annotation]


def entity_of(section: str) -> type[BaseModel]:
    """Entity of a section: the last type argument of `Table[Region]`."""
    entity = get_args(Model.model_fields[section].annotation)[-1]
    assert isinstance(entity, type) and issubclass(entity, BaseModel)
    return entity
