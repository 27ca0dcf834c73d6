"""The graph for other tools: GraphML, DOT, JSON."""

from __future__ import annotations

import io
import re
from typing import Any

import networkx as nx

from planner.infrastructure.fleet import plant_mw
from planner.json_text import json_text as as_json
from planner.reporting.graph.facts import Scene, cluster_mw, cluster_rps, software_only

_PLANE_COLOURS = {"edge": "#dbe9fb", "service": "#eae0f8", "state": "#fcebcf", "control": "#d5f0ea"}
_LINE_COLOURS = {"cools": "#0b6fae", "powers": "#a86a00", "depends_on": "#4f5b6b"}
#: What XML 1.0 cannot hold, however it is written.
_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def plain_graph(scene: Scene) -> nx.DiGraph[str]:
    """The nodes shown, with attributes of plain types: texts, numbers, truth values.

    Nodes have ``kind, name, region, plane, single_point_of_failure, software_only, tiers_lost,
    exists`` and, where these apply, ``gpus, power_mw, requests_per_second, cooling_mw,
    capacity_mw, instances``; with a blast also ``lost, falls``. Edges have ``relation, group,
    needs`` (of its group, how many must be up) and ``latency_ms``.
    """
    plain: nx.DiGraph[str] = nx.DiGraph(name=scene.name)
    shown = set(scene.shown)
    for name in scene.shown:
        plain.add_node(name, **_node_data(scene, name))
    for source, target, data in scene.graph.edges(data=True):
        if source in shown and target in shown:
            needs = scene.graph.nodes[target]["needs"].get(data["group"], 1)
            latency = {"latency_ms": float(data["latency_ms"])} if "latency_ms" in data else {}
            plain.add_edge(
                source,
                target,
                relation=data["relation"],
                group=data["group"],
                needs=needs,
                **latency,
            )
    return plain


def _node_data(scene: Scene, name: str) -> dict[str, Any]:
    data, model, fleet = scene.graph.nodes[name], scene.model, scene.fleet
    kind, entity = data["kind"], data["name"]
    found: dict[str, Any] = {
        "kind": kind,
        "name": entity,
        "region": scene.place(name) or "",
        "plane": data["plane"] or "",
        "single_point_of_failure": name in scene.points,
        "software_only": software_only(scene, name),
        "tiers_lost": ", ".join(scene.points.get(name, ())),
        "exists": name not in scene.absent,
    }
    if kind == "cluster":
        found |= {
            "gpus": fleet.gpus[entity],
            "power_mw": round(cluster_mw(model, fleet, entity), 6),
            "requests_per_second": round(cluster_rps(model, fleet, entity), 6),
        }
    elif kind == "plant":
        found["cooling_mw"] = round(plant_mw(model, fleet, entity), 6)
    elif kind == "feed":
        found["capacity_mw"] = float(model.feeds[entity].capacity_mw)
    elif kind == "offer":
        found["instances"] = fleet.instances[entity]
    if scene.blast is not None:
        found |= {
            "lost": name in scene.blast.failed,
            "falls": name in scene.blast.down and name not in scene.blast.failed,
        }
    return found


def graphml_text(scene: Scene) -> str:
    """GraphML with typed attributes."""
    plain = plain_graph(scene)
    plain.graph["name"] = _NO_XML.sub("", scene.name)
    buffer = io.BytesIO()
    nx.write_graphml_xml(plain, buffer, encoding="utf-8", prettyprint=True)
    return buffer.getvalue().decode("utf-8") + "\n"


def json_text(scene: Scene) -> str:
    """Nodes and links, as `networkx.node_link_graph` reads them (``edges="links"``)."""
    data = nx.node_link_data(plain_graph(scene), edges="links")
    return as_json(data) + "\n"


def dot_text(scene: Scene) -> str:
    """DOT for Graphviz, with a cluster for each region."""
    plain = plain_graph(scene)
    lines = [
        f"digraph {quoted(scene.name)} {{",
        "  rankdir=LR;",
        "  node [shape=box, style=filled];",
    ]
    inside: dict[str, list[str]] = {}
    for name, data in plain.nodes(data=True):
        inside.setdefault(data["region"], []).append(name)
    for place, names in inside.items():
        if place:
            lines += [f"  subgraph {quoted(f'cluster_{place}')} {{", f"    label={quoted(place)};"]
        lines += [f"    {quoted(name)} [{_dot_node(plain.nodes[name])}];" for name in names]
        if place:
            lines.append("  }")
    for source, target, data in plain.edges(data=True):
        if data["relation"] == "hosts":
            # The cluster says so, and the lines would hide all others.
            style = 'style="invis"'
        else:
            colour = _LINE_COLOURS.get(data["relation"], "#8a95a3")
            dashed = ', style="dashed"' if data["needs"] == 0 else ""
            style = f"color={quoted(colour)}{dashed}"
        relation = f"relation={quoted(data['relation'])}"
        lines.append(f"  {quoted(source)} -> {quoted(target)} [{relation}, {style}];")
    return "\n".join([*lines, "}\n"])


def _dot_node(data: dict[str, Any]) -> str:
    attributes = {
        "label": f"{data['name']}\n{data['kind']}",
        "kind": data["kind"],
        "fillcolor": _PLANE_COLOURS.get(data["plane"], "#ffffff"),
    }
    if data["single_point_of_failure"]:
        attributes |= {"color": "#b3261e", "penwidth": "2.5"}
    if data.get("lost") or data.get("falls"):
        attributes["fillcolor"] = "#b3261e" if data["lost"] else "#fbe3e1"
    if not data["exists"]:
        attributes["style"] = "filled,dashed"
    return ", ".join(f"{key}={quoted(value)}" for key, value in attributes.items())


def quoted(text: str) -> str:
    r"""A text as a quoted identifier of DOT, in which nothing is an escape or ends the quotes.

    >>> print(quoted('a "b" \\ c'))
    "a \"b\" \\ c"
    """
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + "".join(sign for sign in text if sign.isprintable()) + '"'
