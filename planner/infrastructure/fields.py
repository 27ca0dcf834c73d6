"""Types of the numbers and names in a model file: bounded, strict, finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NoReturn, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    StringConstraints,
)
from pydantic.json_schema import SkipJsonSchema

#: No quantity of an infrastructure is larger; beyond it a programme loses its digits.
LARGEST = 1e12

NAME_LENGTH = 64
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.@-]*$"
Name = Annotated[str, Strict(), StringConstraints(pattern=NAME_PATTERN, max_length=NAME_LENGTH)]
#: Generated names put words before those of entities, and an hour and a date behind them.
LongName = Annotated[
    str,
    Strict(),
    StringConstraints(pattern=NAME_PATTERN, max_length=2 * NAME_LENGTH + len("@Mon-06-hottest")),
]
#: Without control characters except line breaks and tabs.
_TEXT = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
Text = Annotated[str, Strict(), StringConstraints(pattern=_TEXT, max_length=2000)]
Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict(), Field(ge=0, le=10_000_000)]
Change = Annotated[int, Strict(), Field(ge=-10_000_000, le=10_000_000)]
PositiveCount = Annotated[int, Strict(), Field(ge=1, le=10_000_000)]
Amount = Annotated[float, Strict(), Field(ge=0, le=LARGEST, allow_inf_nan=False)]
PositiveAmount = Annotated[float, Strict(), Field(gt=0, le=LARGEST, allow_inf_nan=False)]
#: Life of something that is bought again when it is over: below some days it is another unit.
LifeYears = Annotated[float, Strict(), Field(ge=0.01, le=LARGEST, allow_inf_nan=False)]
Share = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]
Celsius = Annotated[float, Strict(), Field(ge=-90, le=200, allow_inf_nan=False)]
Kelvin = Annotated[float, Strict(), Field(ge=0, le=60, allow_inf_nan=False)]
Minutes = Annotated[float, Strict(), Field(ge=0, le=60 * 24 * 366, allow_inf_nan=False)]
Hours = Annotated[float, Strict(), Field(ge=0, le=24 * 366, allow_inf_nan=False)]
PerYear = Annotated[float, Strict(), Field(ge=0, le=100_000, allow_inf_nan=False)]
Degrees = Annotated[float, Strict(), Field(ge=-180, le=180, allow_inf_nan=False)]
ZoneOffset = Annotated[int, Strict(), Field(ge=-12, le=14)]


class ReadOnlyDict[K, V](dict[K, V]):
    """A dictionary that cannot be changed, but copied, compared and sent to another process."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("this table is read-only; `replace()` makes a changed copy of its entity")

    __setitem__ = __delitem__ = __ior__ = _refuse
    update = pop = popitem = clear = setdefault = _refuse

    def __reduce__(self) -> tuple[type[Self], tuple[dict[K, V]]]:
        return type(self), (dict(self),)


T = TypeVar("T")
#: Entries by name, read-only. (A `type` alias would be a definition of its own in the JSON Schema.)
Table = Annotated[
    Mapping[Name, T],
    AfterValidator(ReadOnlyDict),
    PlainSerializer(dict, when_used="always"),
]
#: The same with at least one entry.
FilledTable = Annotated[
    Mapping[Name, T],
    Field(min_length=1),
    AfterValidator(ReadOnlyDict),
    PlainSerializer(dict, when_used="always"),
]


class Entity(BaseModel):
    """A frozen, validated record of a model file."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
    )

    def replace(self, **changes: object) -> Self:
        """Copy with some fields changed, validated like the file.

        Raises
        ------
        pydantic.ValidationError
            If a changed field is unknown or outside its accepted set.
        """
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).model_validate(fields | changes)


class NamedEntity(Entity):
    """An entity that a model file lists under its name."""

    name: SkipJsonSchema[Name] = Field(default="unnamed", repr=True)
    """The key the entity stands under."""
    source: Text = ""
    """Where the figures come from, in words."""
