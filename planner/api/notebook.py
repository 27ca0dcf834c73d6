"""How results show themselves: one line in a console, tables in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import pandas as pd

from planner.reporting import frames


class Shown(ABC):
    """A result with a title, a few facts and tables."""

    @abstractmethod
    def _title(self) -> str:
        """What it is, in lower case."""

    @abstractmethod
    def _facts(self) -> Sequence[str]:
        """What is most worth knowing, in a few words each."""

    def _sentences(self) -> Sequence[str]:
        """Text above the tables in a notebook."""
        facts = "; ".join(self._facts())
        return [f"{facts[:1].upper()}{facts[1:]}."] if facts else []

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        """Tables in a notebook, by their titles."""
        return {}

    def __repr__(self) -> str:
        facts = "; ".join(self._facts())
        return f"<{self._title()}: {facts}>" if facts else f"<{self._title()}>"

    def _repr_html_(self) -> str:
        title = self._title()
        return frames.as_html(title[:1].upper() + title[1:], self._sentences(), self._tables())


def frame(meaning: str, make: Callable[[Any], pd.DataFrame]) -> cached_property[pd.DataFrame]:
    """A table of a result, made when it is first asked for, with what it holds."""
    found = cached_property(make)
    found.__doc__ = meaning
    return found


def table(rows: Iterable[Mapping[str, Any]], index: str | None = None) -> pd.DataFrame:
    """Rows of plain data as a table; figures within figures get names such as ``saves_usd``.

    Parameters
    ----------
    index
        Column that names the rows; None for numbers.

    Examples
    --------
    >>> table([{"name": "a", "saves": {"usd": 1.0}}], "name").loc["a", "saves_usd"]
    np.float64(1.0)
    """
    frame = pd.json_normalize([dict(row) for row in rows], sep="_")
    return frame.set_index(index) if index in frame.columns else frame
