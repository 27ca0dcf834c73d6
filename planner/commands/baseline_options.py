"""Options that start from what there is: an earlier plan, parts of it, existing equipment."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from planner.commands.options import Progress
    from planner.infrastructure.fleet import Fleet
    from planner.infrastructure.loading import LoadedModel


@dataclass(frozen=True)
class Earlier:
    """What a run starts from.

    Parameters
    ----------
    path
        Earlier plan.
    fix
        Parts of it (or of what exists) that stay.
    keep_existing
        Whether nothing is retired.
    """

    path: Path | None
    fix: tuple[str, ...]
    keep_existing: bool


def earlier_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--from, --fix and --keep-existing, as one argument `earlier`."""

    @functools.wraps(function)
    def bundled(
        *, earlier: Path | None, fix: tuple[str, ...], keep_existing: bool, **rest: Any
    ) -> Any:
        return function(earlier=Earlier(earlier, fix, keep_existing), **rest)

    options = [
        click.option(
            "--from",
            "--warm-start",
            "earlier",
            type=click.Path(path_type=Path),
            metavar="PLAN",
            help="Start the search from an earlier plan.json or its folder.",
        ),
        click.option(
            "--fix",
            multiple=True,
            metavar="PART",
            help="Hold cooling, gpus, emergency, regions, measures, or one by name, as in the plan "
            "of --from; without one, as they are today (repeatable).",
        ),
        click.option("--keep-existing", is_flag=True, help="Retire nothing that exists."),
    ]
    for option in reversed(options):
        bundled = option(bundled)
    return bundled


def load_with(
    model: str, overrides: tuple[str, ...], earlier: Earlier, progress: Progress
) -> tuple[LoadedModel, Fleet | None]:
    """A model with what is held in it, and the fleet of the earlier plan.

    The settings of that plan are not taken over, which is said: what is asked for is asked anew.

    Raises
    ------
    InputError
        If the model, the plan or a name is wrong.
    """
    from planner.infrastructure.fixing import held, kept
    from planner.infrastructure.fleet import Fleet
    from planner.infrastructure.loading import load_model
    from planner.plan.files import read_plan
    from planner.plan.reopening import settings_text

    loaded = load_model(model, overrides)
    start = None
    if earlier.path is not None:
        plan = read_plan(earlier.path, loaded)
        start = plan.fleet(loaded.model)
        left = [one for one in plan.model.overrides if one not in overrides]
        if left:
            progress.say(f"note: {earlier.path} was made with {settings_text(left)}; not so here")
    keeps = kept(loaded.model) if earlier.keep_existing else ()
    holds: tuple[str, ...] = ()
    if earlier.fix:
        holds = held(loaded.model, start or Fleet.existing(loaded.model), earlier.fix)
    if keeps or holds:
        # Holds first, so that a --set can loosen one of them.
        loaded = load_model(model, (*holds, *overrides, *keeps))
    return loaded, start
