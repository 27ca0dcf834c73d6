"""A graph on the terminal: what there is, what takes a tier down, what goes down with what."""

from __future__ import annotations

import textwrap
from typing import Any

from rich.console import Console
from rich.markup import escape

from planner.amounts import megawatts, percent, rate
from planner.infrastructure.fleet import cooling_mw, plant_mw
from planner.infrastructure.graph import Graph
from planner.reporting.graph.facts import (
    KINDS,
    Blast,
    Scene,
    by_kind,
    emergency_plants,
    software_only,
)
from planner.reporting.terminal import new_console, print_json

#: Names listed of one kind before the rest is counted.
MOST_NAMES = 40
NOTE = "From dependencies alone; plan simulate says whether the rest carries the load."


def show_scene(scene: Scene, as_json: bool, notes: tuple[str, ...] = ()) -> None:
    """Print the summary of a graph, or what goes down if that is asked.

    `notes` are for machines: people were told.
    """
    if as_json:
        print_json(scene_data(scene) | {"notes": notes})
        return
    console = new_console()
    shown = f", {' and '.join(scene.regions)} alone" if _part(scene) else ""
    plan = " with its plan" if scene.planned else ""
    console.print(f"[bold]{escape(scene.name)}[/bold]{plan}{escape(shown)}")
    counted = []
    for kind, names in by_kind(scene.graph, scene.shown).items():
        planes = _planes(scene) if kind == "service" else ""
        counted.append(f"{_counted(kind, len(names))}{planes}")
    _listed(console, f"{len(scene.shown):,} nodes", counted)
    _show_points(console, scene)
    _show_emergency(console, scene)
    if scene.blast is not None:
        show_blast(scene)


def _part(scene: Scene) -> bool:
    return len(scene.regions) < len(scene.model.regions)


def _counted(kind: str, count: int) -> str:
    noun = "battery" if kind == "ups" else kind
    return f"{count:,} {noun if count == 1 else KINDS[kind]}"


def _planes(scene: Scene) -> str:
    planes: dict[str, int] = {}
    for name in scene.shown:
        if scene.graph.nodes[name]["kind"] == "service":
            plane = scene.graph.nodes[name]["plane"]
            planes[plane] = planes.get(plane, 0) + 1
    order = ("edge", "service", "state", "control")
    return f" ({', '.join(f'{planes[plane]} {plane}' for plane in order if plane in planes)})"


def _listed(console: Console, title: str, names: list[str]) -> None:
    """A title with names behind it, wrapped below each other, broken only between names."""
    rest = len(names) - MOST_NAMES
    shown = names[:MOST_NAMES] + ([f"and {rest:,} more"] if rest > 0 else [])
    # Spaces that do not break, until the lines are made.
    shown = [name.replace(" ", "\u00a0") for name in shown]
    lines = textwrap.wrap(
        f"{title}: {', '.join(shown)}",
        console.width,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines:
        console.print(escape(line.replace("\u00a0", " ")), soft_wrap=True)


def _show_points(console: Console, scene: Scene) -> None:
    console.print()
    console.print("[bold]Single points of failure[/bold]: the loss of one takes a tier down")
    points = [name for name in scene.points if name in scene.shown]
    if not points:
        console.print("  none")
    every = tuple(scene.model.tiers)
    for software in (False, True):
        grouped: dict[tuple[str, ...], list[str]] = {}
        for name in points:
            if software_only(scene, name) == software:
                grouped.setdefault(scene.points[name], []).append(name)
        for tiers, names in grouped.items():
            whom = "all tiers" if tiers == every else ", ".join(tiers)
            how = ", only if all replicas fail together" if software else ""
            _listed(console, f"{whom}{how}", names)


def _show_emergency(console: Console, scene: Scene) -> None:
    plants = emergency_plants(scene)
    if not plants:
        return
    console.print()
    console.print("[bold]Emergency plants[/bold], independent of the primary ones or not")
    for title, wanted in (("independent", True), ("shares dependencies", False)):
        names = [
            name if plant_mw(scene.model, scene.fleet, name) else f"{name} (no units)"
            for name, independent in plants.items()
            if independent == wanted
        ]
        if names:
            _listed(console, title, names)


def show_blast(scene: Scene) -> None:
    """Print what goes down with the nodes that are lost."""
    blast, console = scene.blast, new_console()
    if blast is None:
        return
    console.print()
    verb = "is" if len(blast.failed) == 1 else "are"
    # textwrap before markup, so that names keep together.
    title = f"If {' and '.join(blast.failed)} {verb} lost"
    for line in textwrap.wrap(title, console.width, break_long_words=False, break_on_hyphens=False):
        console.print(f"[bold red]{escape(line)}[/]", soft_wrap=True)
    for kind, names in by_kind(scene.graph, blast.fallen).items():
        _listed(console, _counted(kind, len(names)), names)
    if not blast.fallen:
        console.print("  nothing else goes down")
    if "tier" not in by_kind(scene.graph, blast.down):
        console.print("  no tier goes down")
    lost = _capacity(scene)
    if lost:
        _listed(console, "capacity lost", lost)
    console.print(f"[dim]{NOTE}[/dim]")


def _capacity(scene: Scene) -> list[str]:
    """Capacity lost and, where there was more, its share of all."""
    blast, model, fleet = scene.blast, scene.model, scene.fleet
    if blast is None:
        return []
    gpus = sum(fleet.gpus.values())
    cooling = cooling_mw(model, fleet, model.plants)
    feeds = sum(feed.capacity_mw for feed in model.feeds.values())
    reserved = sum(n * model.offers[name].gpus_per_instance for name, n in fleet.instances.items())
    found = []
    if blast.gpus:
        found.append(f"{blast.gpus:,} GPUs ({percent(blast.gpus / gpus, 0)}; {rate(blast.rps)})")
    if blast.cooling_mw:
        share = percent(blast.cooling_mw / cooling, 0)
        found.append(f"{megawatts(blast.cooling_mw)} of cooling ({share})")
    if blast.feed_mw:
        found.append(f"{megawatts(blast.feed_mw)} of feeds ({percent(blast.feed_mw / feeds, 0)})")
    if blast.reserved_gpus:
        share = percent(blast.reserved_gpus / reserved, 0)
        found.append(f"{blast.reserved_gpus:,} reserved emergency GPUs ({share})")
    return found


def scene_data(scene: Scene) -> dict[str, Any]:
    """The summary for machines."""
    nodes = by_kind(scene.graph, scene.shown)
    data: dict[str, Any] = {
        "model": scene.name,
        "planned": scene.planned,
        "regions": list(scene.regions),
        "nodes": {kind: len(names) for kind, names in nodes.items()},
        "single_points_of_failure": [
            {"node": name, "tiers": list(tiers), "software_only": software_only(scene, name)}
            for name, tiers in scene.points.items()
            if name in scene.shown
        ],
        "emergency_plants": [
            {"plant": name, "independent": independent}
            for name, independent in emergency_plants(scene).items()
        ],
    }
    if scene.blast is not None:
        data["blast"] = blast_data(scene.graph, scene.blast)
    return data


def blast_data(graph: Graph, blast: Blast) -> dict[str, Any]:
    """What goes down with the nodes that are lost, for machines."""
    return {
        "lost": list(blast.failed),
        "falls": list(blast.fallen),
        "by_kind": by_kind(graph, blast.fallen),
        "tiers_down": by_kind(graph, blast.down).get("tier", []),
        "gpus": blast.gpus,
        "requests_per_second": round(blast.rps, 3),
        "cooling_mw": round(blast.cooling_mw, 3),
        "feed_mw": round(blast.feed_mw, 3),
        "reserved_gpus": blast.reserved_gpus,
    }
