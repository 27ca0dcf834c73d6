"""What `plan check` prints of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from planner.amounts import counted, listed, megawatts, percent
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.field_types import SECTIONS
from planner.infrastructure.fleet import Fleet, pue_by_part
from planner.infrastructure.graph import (
    Graph,
    build_graph,
    shared_supports,
    single_points_by_zone,
    single_points_of_failure,
    without_equipment,
)
from planner.infrastructure.loading import LoadedModel
from planner.infrastructure.supply import without_feed
from planner.reporting.graph.facts import Blast, by_kind, cluster_rps, largest_losses
from planner.reporting.graph.terminal import NOTE, blast_data
from planner.reporting.tables import Table, figures, texts
from planner.reporting.terminal import heading, new_console, print_json, say
from planner.scenarios.demand import weekly_demand
from planner.scenarios.generators import all_scenarios
from planner.scenarios.standard import floors
from planner.selection import select

#: Failures of which it is worked out here at which hours they matter.
MOST_TIMED = 200
#: Single losses of a kind that are listed.
MOST_LOSSES = 2
#: Scenarios named of which nothing is asked.
MOST_NAMED = 5


def show_check(loaded: LoadedModel, as_json: bool) -> None:
    """Print what a model holds and what its graph says."""
    model, graph = loaded.model, build_graph(loaded.model)
    scenarios = all_scenarios(model)
    counts = {
        section: len(getattr(model, section))
        for section in SECTIONS
        if section not in ("gpus", "cooling_units", "scenarios")
    }
    absent = without_equipment(model, Fleet.existing(model))
    points = single_points_of_failure(graph, absent)
    by_zone = single_points_by_zone(model, graph)
    silent = [scenario.name for scenario in scenarios if not _asked(model, scenario)]
    shared, unfed = _shared_cooling(model, graph), without_feed(model)
    drawn = {region: pue_by_part(model, region) for region in model.regions}
    losses = largest_losses(model, graph, MOST_LOSSES)
    left = _left_of_peak_demand(model, losses)
    selection = select(model) if 0 < len(scenarios) <= MOST_TIMED else None
    if as_json:
        print_json(
            {
                "model": {"name": loaded.name, "sha256": loaded.sha256},
                "replaced_lists": loaded.replaced,
                "counts": counts,
                "scenarios": [scenario.name for scenario in scenarios],
                "planned": None if selection is None else selection.names,
                "not_judged": silent,
                "rules_never_judged": _never_judged(model),
                "largest_losses": [
                    blast_data(graph, loss) | {"left_of_peak_demand": left[loss.failed]}
                    for loss in losses
                ],
                "single_points_of_failure": points,
                "single_points_of_failure_by_zone": by_zone,
                "shared_cooling_supports": shared,
                "without_feed": unfed,
                "pue": drawn,
            }
        )
        return
    console = new_console()
    _show_held(console, loaded, counts, scenarios)
    if selection is not None and selection.at_all_hours:
        kept = f"{len(selection.scenarios):,} of them are planned for: the hours that matter"
        say(console, f"{selection.at_all_hours}; {kept}.")
    _losses_table(model, graph, losses, left).print(console)
    heading(console, "Single points of failure: what takes a tier down if lost alone")
    for nodes, tiers in _by_nodes(points).items():
        services = [name.removeprefix("service:") for name in nodes if name.startswith("service:")]
        places = [name for name in nodes if not name.startswith("service:")]
        say(console, ", ".join(tiers), lead="  ")
        say(console, f"places and machines: {', '.join(places) or 'none'}", lead="    ")
        say(console, f"services, with all replicas: {', '.join(services) or 'none'}", lead="    ")
    _show_zones(console, by_zone, any(points.values()))
    heading(console, "Emergency cooling and what it shares with the primary")
    for pair, nodes_shared in shared.items():
        text = f"shares {', '.join(nodes_shared)}" if nodes_shared else "independent"
        say(console, f"{pair}: {text}", lead="  ")
    if not shared:
        say(console, "no emergency plants", lead="  ")
    _show_unfed(console, unfed)
    heading(console, "Power drawn per MW of GPUs at full load (PUE)")
    for region, parts in drawn.items():
        named = ", ".join(f"{part} {mw:.3f}" for part, mw in parts.items() if part != "pue" and mw)
        say(console, f"{region}: {parts['pue']:.2f}" + (f" ({named})" if named else ""), lead="  ")


def _left_of_peak_demand(model: Model, losses: Sequence[Blast]) -> dict[tuple[str, ...], float]:
    """Requests that the GPUs left serve over those of the peak."""
    fleet, peak = Fleet.existing(model), float(weekly_demand(model).sum(axis=0).max())
    rps = sum(cluster_rps(model, fleet, name) for name in model.clusters)
    return {loss.failed: round((rps - loss.rps) / peak, 6) for loss in losses}


def _whom(model: Model, tiers: Sequence[str]) -> str:
    return "all" if len(tiers) == len(model.tiers) else listed(tiers, MOST_NAMED) if tiers else ""


def _losses_table(
    model: Model,
    graph: Graph,
    losses: Sequence[Blast],
    left: Mapping[tuple[str, ...], float],
) -> Table:
    """Single losses with what goes down with them."""
    rows = [
        (
            loss.failed[0],
            loss.gpus or None,
            *(megawatts(mw) if mw else None for mw in (loss.cooling_mw, loss.feed_mw)),
            left[loss.failed],
            _whom(model, by_kind(graph, loss.down).get("tier", [])),
        )
        for loss in losses
    ]
    return Table(
        "Largest single losses of what exists, two of each kind",
        (
            *texts("lost"),
            *figures("GPUs"),
            *figures("cooling", "feeds"),
            *figures("left of peak", show=percent),
            *texts("tiers down"),
        ),
        rows,
        f"Left of peak: what the other GPUs serve over peak demand. {NOTE}",
    )


def _show_unfed(console: Console, unfed: Mapping[str, Sequence[str]]) -> None:
    if not unfed:
        return
    heading(console, "Not on any feed, in a region with feeds")
    for region, loads in unfed.items():
        say(console, f"{region}: {', '.join(loads)}", lead="  ")
    say(
        console,
        "These draw on the power limit of the region, and no loss of a feed takes them down: list "
        "them in `powers` of the feeds that supply them.",
        lead="  ",
    )


def _show_held(
    console: Console,
    loaded: LoadedModel,
    counts: Mapping[str, int],
    scenarios: Sequence[Scenario],
) -> None:
    """What the model holds, and what of it promises nothing."""
    model = loaded.model
    silent = [scenario.name for scenario in scenarios if not _asked(model, scenario)]
    say(console, f"{loaded.name} is valid.", style="bold")
    if model.description:
        say(console, model.description)
    held = ", ".join(
        counted(count, section.removesuffix("s")) for section, count in counts.items() if count
    )
    say(console, f"It has {held}; {counted(len(scenarios), 'failure')}.")
    if not scenarios:
        say(
            console,
            "Nothing in it can fail: `generators` or `scenarios` say what may, and `standard` what "
            "must be served then.",
            style="bold yellow",
        )
    if silent:
        text = f"The standard requires nothing of {listed(silent, MOST_NAMED)}."
        say(console, text, style="bold yellow")
    late = _never_judged(model)
    if late:
        text = (
            f"The simulation ends at minute {model.simulation.horizon_minutes:g} "
            f"(simulation.horizon_minutes): {listed(late, MOST_NAMED)} "
            f"{'is' if len(late) == 1 else 'are'} never judged."
        )
        say(console, text, style="bold yellow")
    if loaded.replaced:
        heading(console, "Inherited lists that it replaces")
        for line in loaded.replaced:
            say(console, line, lead="  ")


def _asked(model: Model, scenario: Scenario) -> bool:
    return any(
        floor.least_served and floor.from_minute < model.simulation.horizon_minutes
        for floor in floors(model, scenario.severity)
    )


def _never_judged(model: Model) -> list[str]:
    """Rules of the standard that begin when the simulation has ended."""
    return [
        f"standard.{severity}[{index}]"
        for severity, rules in model.standard.items()
        for index, rule in enumerate(rules)
        if rule.least_served and rule.from_minute >= model.simulation.horizon_minutes
    ]


def _show_zones(
    console: Console, points: Mapping[str, Mapping[str, tuple[str, ...]]], named: bool
) -> None:
    """What leaves zones in the dark, tiers with the same nodes together, besides those named."""
    heading(console, "Single points of failure by zone: what leaves it without service")
    grouped: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for zone, tiers in points.items():
        for tier, nodes in tiers.items():
            if nodes:
                grouped.setdefault(nodes, {}).setdefault(zone, []).append(tier)
    for nodes, zones in grouped.items():
        told = "; ".join(f"{zone}: {', '.join(tiers)}" for zone, tiers in zones.items())
        say(console, told, lead="  ")
        say(console, ", ".join(nodes), lead="    ")
    if not grouped:
        say(console, "nothing besides these" if named else "nothing", lead="  ")


def _by_nodes(points: dict[str, tuple[str, ...]]) -> dict[tuple[str, ...], list[str]]:
    grouped: dict[tuple[str, ...], list[str]] = {}
    for tier, nodes in points.items():
        grouped.setdefault(nodes, []).append(tier)
    return grouped


def _shared_cooling(model: Model, graph: Any) -> dict[str, tuple[str, ...]]:
    """Shared supports of every emergency plant and the primary plants of the same clusters."""
    shared: dict[str, tuple[str, ...]] = {}
    for name, plant in model.plants.items():
        if plant.role != "emergency":
            continue
        for other, primary in model.plants.items():
            if primary.role == "primary" and set(primary.cools) & set(plant.cools):
                shared[f"{name} / {other}"] = shared_supports(graph, name, other)
    return shared
