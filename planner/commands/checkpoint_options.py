"""--checkpoint and --resume: a long run that can go on after it was killed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from planner.commands.options import Output, bundle

if TYPE_CHECKING:
    from planner.infrastructure.fleet import Fleet
    from planner.infrastructure.loading import LoadedModel

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
