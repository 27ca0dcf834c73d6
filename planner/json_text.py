"""Any result as JSON text: the one place that knows how each kind of value is written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from pathlib import PurePath
from typing import Any, Literal

Layout = Literal["lines", "line", "compact"]
_INDENT: dict[Layout, int | None] = {"lines": 1, "line": None, "compact": None}


def json_text(value: Any, layout: Layout = "lines", ascii_only: bool = False) -> str:
    """A value as JSON text: the same text for the same value, whatever it is made of.

    Parameters
    ----------
    layout
        ``lines`` for files and terminals, ``line`` for one line, ``compact`` without spaces.
    ascii_only
        Whether other characters are escaped.

    Raises
    ------
    TypeError
        If a value has no form in JSON.

    Examples
    --------
    >>> json_text({"minute": float("inf"), "names": {"b", "a"}}, "line")
    '{"minute": null, "names": ["a", "b"]}'
    """
    separators = (",", ":") if layout == "compact" else None
    return json.dumps(
        plain(value),
        indent=_INDENT[layout],
        separators=separators,
        ensure_ascii=ascii_only,
        allow_nan=False,
    )


def plain(value: Any) -> Any:
    """A value as dictionaries, lists, texts, numbers, booleans and None.

    Entities, records and dataclasses become dictionaries of their fields; what NumPy makes becomes
    numbers and lists; numbers that are not finite become None, as there are none in JSON; sets are
    sorted; paths are written with ``/``.

    Raises
    ------
    TypeError
        If a value, or a key, has no form in JSON.

    Examples
    --------
    >>> import numpy as np
    >>> plain((np.int64(3), np.float64("nan"), PurePath("a") / "b", np.eye(1)))
    [3, None, 'a/b', [[1.0]]]
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {_key(key): plain(part) for key, part in value.items()}
    return _plain_object(value)


def _plain_object(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Set):
        return sorted((plain(part) for part in value), key=lambda part: (str(type(part)), part))
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(part) for part in value]
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _key(key: Any) -> str:
    """A key as text; parts of a compound one are joined by ``/``."""
    if isinstance(key, tuple):
        return "/".join(_key(part) for part in key)
    text = plain(key)
    if isinstance(text, str):
        return text
    if text is None or isinstance(text, int | float):
        return json.dumps(text)
    raise TypeError(f"{type(key).__name__} is not a key in JSON")
