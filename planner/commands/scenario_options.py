"""Options that say which scenarios to plan for or to simulate."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from planner.commands.options import FiniteRange, Progress

if TYPE_CHECKING:
    from planner.infrastructure.loading import LoadedModel
    from planner.scenarios.selection import Selection, Wanted

CLASSES = ("single", "double", "common", "region", "extreme")


def selection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--scenarios and the filters, handed on together as ``wanted``; None where none is given."""

    @functools.wraps(function)
    def with_wanted(
        *,
        sets: tuple[str, ...],
        only: tuple[str, ...],
        excluded: tuple[str, ...],
        severities: tuple[str, ...],
        least_per_year: float,
        **rest: Any,
    ) -> Any:
        wanted = None
        if sets or only or excluded or severities or least_per_year:
            from planner.scenarios.selection import Wanted, parse_sets

            classes: Any = tuple(one for one in CLASSES if one in severities)
            wanted = Wanted(parse_sets(sets), only, excluded, classes, least_per_year)
        return function(wanted=wanted, **rest)

    options = [
        click.option(
            "--scenarios",
            "sets",
            multiple=True,
            metavar="SETS",
            help="Sets of scenarios, by commas: model (its own, the default), written, n-1, n-2, "
            "common, mc:YEARS[:SEED], regions, heat, surge, or another family (repeatable).",
        ),
        click.option(
            "--only",
            multiple=True,
            metavar="PATTERN",
            help="Only scenarios whose name matches, e.g. 'unit-*' (repeatable).",
        ),
        click.option(
            "--except",
            "excluded",
            multiple=True,
            metavar="PATTERN",
            help="No scenarios whose name matches (repeatable).",
        ),
        click.option(
            "--severity",
            "severities",
            multiple=True,
            type=click.Choice(CLASSES),
            help="Only scenarios of this class (repeatable).",
        ),
        click.option(
            "--least-per-year",
            type=FiniteRange(0),
            default=0.0,
            metavar="N",
            help="No scenarios rarer than this, e.g. 1e-6.",
        ),
    ]
    decorated: Callable[..., Any] = with_wanted
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def choose(loaded: LoadedModel, wanted: Wanted | None, progress: Progress) -> Selection:
    """Find the scenarios and say how many there are."""
    from planner.scenarios.selection import select

    selection = select(loaded.model, wanted)
    announce(loaded, selection, progress)
    return selection


def announce(loaded: LoadedModel, selection: Selection, progress: Progress) -> None:
    """Say how many scenarios there are; what nothing is required of is said even if quiet."""
    first, *more = selection.lines()
    progress.say(f"{loaded.name}: {first}")
    for line in more:
        progress.say(f"  {line}")
    for line in selection.warnings():
        click.echo(f"Warning: {line}", err=True)
