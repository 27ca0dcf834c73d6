"""Options of a search: where it starts, what it keeps of that, and how it goes on after a kill."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


#: Options that change nothing about the plan, and those that the model or the fleet stands for.
WITHOUT_EFFECT = frozenset(
    {"as_json", "checkpoint", "folder", "jobs", "quiet", "resume", "scheduler", "time_limit"}
    | {"earlier", "model", "overrides"}
)


@dataclass(frozen=True)
class CheckpointOptions:
    """Folders of a checkpoint to begin, or to go on with; None without one."""

    checkpoint: Path | None
    resume: Path | None

    def opened(
        self, loaded: LoadedModel, start: Fleet | None, output: Output
    ) -> AbstractContextManager[None]:
        """Keep results, or recall them, while the command runs."""
        from planner import checkpoint

        if self.checkpoint is not None and self.resume is not None:
            raise click.UsageError("--resume goes on keeping what is new: no --checkpoint with it.")
        folder = self.checkpoint or self.resume
        if folder is None:
            return nullcontext()
        identity = _identity(loaded, start)
        if self.checkpoint is not None:
            return checkpoint.kept_in(checkpoint.begin(folder, identity))
        found = checkpoint.resume(folder, identity)
        output.say(f"going on from {folder}: {found.count:,} results are there")
        return checkpoint.kept_in(found)


def _identity(loaded: LoadedModel, start: Fleet | None) -> dict[str, Any]:
    """What a plan follows from."""
    from planner.cluster import own_versions

    options = click.get_current_context().params
    return {
        "model": loaded.name,
        "model.sha256": loaded.sha256,
        "model.overrides": loaded.overrides,
        "start": start,
        **{f"versions.{name}": number for name, number in own_versions().items()},
        **{
            f"options.{name}": value
            for name, value in options.items()
            if name not in WITHOUT_EFFECT
        },
    }


_FOLDER = click.Path(path_type=Path, file_okay=False)
#: --checkpoint and --resume as `checkpoint`.
checkpoint_options = bundle(
    "checkpoint",
    CheckpointOptions,
    click.option("--checkpoint", type=_FOLDER, metavar="DIR"),
    click.option("--resume", type=_FOLDER, metavar="DIR"),
)
