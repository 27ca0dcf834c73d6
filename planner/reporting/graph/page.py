"""A drawn graph as one page that works offline: search and dependencies, all by keyboard."""

from __future__ import annotations

from html import escape
from typing import Any

from planner.infrastructure.graph import dependencies, without_equipment
from planner.reporting.graph.facts import Scene
from planner.reporting.graph.layout import headlines, summary_line
from planner.reporting.graph.shapes import Drawing
from planner.reporting.graph.svg import svg_text, told
from planner.reporting.html.templates import asset, filled, script_json

#: Nothing is fetched, and nothing runs but what the page itself holds.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page_text(scene: Scene, drawing: Drawing) -> str:
    """The page, with everything that it needs in it."""
    changes = "".join(f"<p>{escape(text)}</p>\n" for text, _ in headlines(scene))
    return filled(
        "graph.html",
        policy=_POLICY,
        name=escape(scene.name),
        style=asset("graph.css"),
        picture=svg_text(scene, drawing, page=True),
        summary=escape(summary_line(scene)),
        changes=changes,
        data=script_json(page_data(scene)),
        script=asset("graph.js"),
    )


def page_data(scene: Scene) -> dict[str, Any]:
    """Nodes with their texts and, by number, what they depend on, support and take down."""
    graph, absent = scene.graph, without_equipment(scene.model, scene.fleet) & set(scene.graph)
    ready = dependencies(graph).without(absent)
    number = {name: index for index, name in enumerate(scene.shown)}

    def numbers(names: Any) -> list[int]:
        return sorted(number[name] for name in names if name in number)

    return {
        "nodes": [
            {
                "id": name,
                "told": told(scene, name),
                "single": name in scene.points,
                "from": numbers(graph.predecessors(name)),
                "to": numbers(graph.successors(name)),
                "falls": numbers(ready.down_with([name]) - ready.down - {name}),
            }
            for name in number
        ]
    }
