"""Errors that reach a user, each with the exit code of the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

EXIT_DONE = 0
EXIT_ERROR = 1
EXIT_INPUT = 2
EXIT_INFEASIBLE = 3
EXIT_NOT_SURVIVED = 4
EXIT_TIME_LIMIT = 5


#: Longest line of a message, and name of a file in it, that is shown whole, and what is shown of
#: the end of a longer one.
LONGEST_LINE, LONGEST_NAME, END_OF_LINE = 600, 300, 100


def printable(text: str) -> str:
    """A text for one line of a terminal, with control characters escaped."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def shown(text: str) -> str:
    r"""A message as it is shown, whatever stands in it: escaped, and long lines shortened.

    >>> print(shown("a\u202eb"))
    a\u202eb
    """
    return "\n".join(_shortened(printable(line), LONGEST_LINE) for line in text.split("\n"))


def _shortened(text: str, most: int) -> str:
    """A text of at most so many characters, without some of its middle."""
    return text if len(text) <= most else f"{text[: most - END_OF_LINE]} … {text[-END_OF_LINE:]}"


class PlannerError(Exception):
    """Base of all errors the planner raises on purpose."""

    exit_code = EXIT_ERROR


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with an input.

    Parameters
    ----------
    file
        File (or option) it stands in.
    line, column
        Position from 1; 0 where the input has no lines.
    where
        Dotted path of the entry, ``regions.us-west.power_limit_mw``.
    message
        What is wrong and what would be accepted.
    """

    file: str
    line: int
    column: int
    where: str
    message: str

    def __str__(self) -> str:
        file = _shortened(printable(self.file), LONGEST_NAME)
        place = f"{file}:{self.line}:{self.column}" if self.line else file
        subject = f"{self.where}: " if self.where else ""
        return shown(f"{place}: {subject}{self.message}")


class InputError(PlannerError):
    """All problems of one input, reported at once."""

    exit_code = EXIT_INPUT

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def single(cls, file: str, message: str, line: int = 0, column: int = 0) -> InputError:
        """Make the error of a single problem."""
        return cls([Problem(file, line, column, "", message)])


@contextmanager
def collected(problems: list[Problem]) -> Iterator[None]:
    """Keep the problems of an input, so that those of others are found too."""
    try:
        yield
    except InputError as error:
        problems += error.problems


def refuse(problems: Iterable[Problem]) -> None:
    """Raise the problems of an input, if there are any.

    Raises
    ------
    InputError
        With all of them.
    """
    if found := tuple(problems):
        raise InputError(found)


class OutputError(PlannerError):
    """A result that is there cannot be written where it was asked for."""

    def __init__(self, path: object, error: OSError) -> None:
        super().__init__(f"{path}: cannot be written: {error.strerror or error}")


class SolverError(PlannerError):
    """The solver failed, or returned something that is not what it claimed."""


class ClusterError(PlannerError):
    """Workers on other machines cannot be reached, or have other versions, or are gone."""


class AuditError(PlannerError):
    """The plan contradicts its own constraints or its own objective."""
