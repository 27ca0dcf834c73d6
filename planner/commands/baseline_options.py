"""Options that say where a plan starts: a model, an earlier plan, what is kept of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.commands.options import Output, bundle, defaulted_model, setting_option

if TYPE_CHECKING:
    from planner.infrastructure.fleet import Fleet
    from planner.infrastructure.loading import LoadedModel


@dataclass(frozen=True)
class StartOptions:
    """MODEL with its settings, the earlier plan that the search starts from, and what is held."""

    model: str
    overrides: tuple[str, ...]
    earlier: Path | None
    fix: tuple[str, ...]
    keep_existing: bool

    def load(self, policies: tuple[str, ...], output: Output) -> tuple[LoadedModel, Fleet | None]:
        """Load the model with what is held in it, and the fleet of the earlier plan.

        Settings of the earlier plan are not taken over; a note says so.

        Parameters
        ----------
        policies
            Settings that the options of risk and budgets stand for.
        """
        from planner.infrastructure.fixing import fixing_settings, keeping_settings
        from planner.infrastructure.fleet import Fleet
        from planner.infrastructure.loading import load_model
        from planner.plan.files import read_plan
        from planner.plan.reopening import settings_text

        # Policies first, so that a --set that `plan optimize` suggests changes what an option gave.
        overrides = (*policies, *self.overrides)
        loaded = load_model(self.model, overrides)
        start = None
        if self.earlier is not None:
            plan = read_plan(self.earlier, loaded)
            start = plan.fleet(loaded.model)
            left = [setting for setting in plan.model.overrides if setting not in overrides]
            if left:
                output.say(f"note: {self.earlier} was made with {settings_text(left)}; not so here")
        keeps = keeping_settings(loaded.model) if self.keep_existing else ()
        holds: tuple[str, ...] = ()
        if self.fix:
            holds = fixing_settings(loaded.model, start or Fleet.existing(loaded.model), self.fix)
        if keeps or holds:
            # Holds first, so that a --set can loosen one of them.
            loaded = load_model(self.model, (*holds, *overrides, *keeps))
        return loaded, start


#: --from, --fix and --keep-existing with MODEL and --set, as `start`.
start_options = bundle(
    "start",
    StartOptions,
    defaulted_model,
    setting_option,
    click.option(
        "--from", "--warm-start", "earlier", type=click.Path(path_type=Path), metavar="PLAN"
    ),
    click.option("--fix", multiple=True, metavar="PART"),
    click.option("--keep-existing", is_flag=True),
)
