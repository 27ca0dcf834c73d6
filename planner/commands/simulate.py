"""``plan simulate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from planner.commands.options import Output, output_options, workers_options
from planner.commands.parameter_types import HourOfWeek
from planner.commands.plan_options import SubjectOptions, subject_options
from planner.commands.progress import plan_line, settings_of
from planner.commands.scenario_options import announce, selection_options
from planner.errors import EXIT_DONE, EXIT_NOT_SURVIVED, InputError

if TYPE_CHECKING:
    from planner.plan.reopening import Subject
    from planner.selection import Wanted


@click.command("simulate")
@subject_options
@click.option("--scenario", "names", multiple=True, metavar="NAME")
@click.option("--lose", multiple=True, metavar="NODE[,NODE]")
@click.option("--at", "hour", type=HourOfWeek(), metavar="HOUR")
@output_options
@workers_options
@selection_options
def command(
    subject: SubjectOptions,
    names: tuple[str, ...],
    lose: tuple[str, ...],
    hour: int | None,
    output: Output,
    wanted: Wanted | None,
) -> int:
    """Simulate the cascade of every failure on what exists in MODEL, or on a plan.

    A plan is simulated in the model that it was made for, with the --set it was made with, or in
    MODEL if that extends it.

    Exits with 4 if a scenario falls short of the survival standard.
    """
    from planner.reporting.scenarios import show_simulation
    from planner.selection import select
    from planner.simulation.verdict import judge

    if lose and (names or wanted is not None):
        raise click.UsageError("--lose is a failure of its own; leave out --scenario and filters.")
    if hour is not None and not lose:
        raise click.UsageError("--at needs --lose.")
    found = subject.open(output)
    if lose:
        return _simulate_loss(found, lose, hour, output)
    loaded, fleet = found.loaded, found.fleet
    selection = select(loaded.model, wanted or found.wanted)
    if names:
        selection = selection.named(loaded.model, names, "--scenario")
    if not selection.scenarios:
        raise InputError.single(loaded.name, "the model has no scenarios to simulate")
    announce(loaded, selection, output)
    progress = output.progress
    with progress.working():
        verdicts = judge(loaded.model, fleet, selection.scenarios, on_part=progress.reporter())
    told = selection.names if names else tuple(loaded.model.scenarios)
    show_simulation(loaded, fleet, verdicts, told, output.as_json, found.notes)
    failed = [verdict.name for verdict in verdicts if verdict.fails]
    suggestions = []
    if failed and not names:
        suggestions.append(f"the same with --scenario {failed[0]} tells its story")
    if subject.plan_file is None:
        settings = settings_of(subject.overrides)
        suggestions.append(plan_line("optimize", subject.name, *settings, "-o", "out"))
    output.suggest(*suggestions)
    return EXIT_NOT_SURVIVED if failed else EXIT_DONE


def _simulate_loss(found: Subject, lose: tuple[str, ...], hour: int | None, output: Output) -> int:
    """Simulate the loss of some nodes; say what goes down with them first."""
    from planner.reporting.graph.facts import make_scene
    from planner.reporting.graph.terminal import blast_data, show_blast
    from planner.reporting.scenarios import show_simulation
    from planner.scenarios.loss import loss_of
    from planner.simulation.verdict import judge

    loaded, fleet = found.loaded, found.fleet
    scenario, nodes = loss_of(loaded.model, fleet, lose, hour, "--lose")
    scene = make_scene(loaded.name, loaded.model, fleet, nodes)
    verdicts = judge(loaded.model, fleet, (scenario,))
    if not output.as_json:
        show_blast(scene)
    more = {"blast": scene.blast and blast_data(scene.graph, scene.blast)}
    told = (scenario.name,)
    show_simulation(loaded, fleet, verdicts, told, output.as_json, found.notes, more)
    return EXIT_NOT_SURVIVED if verdicts[0].fails else EXIT_DONE
