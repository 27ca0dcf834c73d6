"""Options that say which scenarios to plan for or to simulate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from planner.commands.options import Output, bundle
from planner.commands.parameter_types import FiniteRange

if TYPE_CHECKING:
    from planner.infrastructure.failures import HourChoice
    from planner.infrastructure.loading import LoadedModel
    from planner.optimization.solution.settings import SolverSettings
    from planner.selection import Selection, Wanted

CLASSES = ("single", "double", "common", "region", "extreme")


def _wanted(
    sets: tuple[str, ...],
    only: tuple[str, ...],
    excluded: tuple[str, ...],
    severities: tuple[str, ...],
    least_per_year: float,
    hours: HourChoice | None,
) -> Wanted | None:
    """Scenarios asked for; None where no option is given."""
    if not (sets or only or excluded or severities or least_per_year or hours):
        return None
    from planner.selection import Wanted, parse_sets

    classes: Any = tuple(name for name in CLASSES if name in severities)
    return Wanted(parse_sets(sets), only, excluded, classes, least_per_year, hours)


#: --scenarios and the filters as `wanted`; None where none is given.
selection_options = bundle(
    "wanted",
    _wanted,
    click.option("--scenarios", "sets", multiple=True, metavar="SETS"),
    click.option("--only", multiple=True, metavar="PATTERN"),
    click.option("--except", "excluded", multiple=True, metavar="PATTERN"),
    click.option("--severity", "severities", multiple=True, type=click.Choice(CLASSES)),
    click.option(
        "--least-per-year", type=FiniteRange(0), default=0.0, show_default=False, metavar="N"
    ),
    click.option("--hours", type=click.Choice(("worst", "peak", "all"))),
)


def choose(
    loaded: LoadedModel,
    wanted: Wanted | None,
    output: Output,
    settings: SolverSettings | None = None,
) -> Selection:
    """Select the scenarios and say how many there are.

    Parameters
    ----------
    settings
        Where the scenarios are planned for: how. They have to fit into memory, each failure at one
        hour at least, before it is worked out which hours matter.
    """
    from planner.selection import Wanted, select

    if settings is not None:
        from planner.optimization.decomposition.size import check_fits
        from planner.optimization.formulation.problem import ProblemData

        least = select(loaded.model, replace(wanted or Wanted(), hours="peak"))
        check_fits(ProblemData(loaded.model, least.scenarios), settings)
    selection = select(loaded.model, wanted)
    announce(loaded, selection, output)
    return selection


def announce(loaded: LoadedModel, selection: Selection, output: Output) -> None:
    """Say how many scenarios there are; classes without requirements are warned of in any case."""
    first, *more = selection.lines()
    output.say(f"{loaded.name}: {first}")
    for line in more:
        output.say(f"  {line}")
    for line in selection.warnings():
        click.echo(f"Warning: {line}", err=True)
