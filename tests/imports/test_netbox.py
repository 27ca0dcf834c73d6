"""Models from exports of NetBox."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.imports.drafts import plain
from planner.imports.inventory import Asked, Inventory
from planner.imports.model_text import completed, model_text
from planner.imports.netbox import read_netbox
from planner.infrastructure.entities import Model
from planner.infrastructure.fields import NAME_LENGTH
from planner.infrastructure.graph import blast_radius, build_graph
from planner.infrastructure.loading import load_model


@pytest.fixture(scope="session")
def expected(netbox: Path) -> Any:
    return json.loads((netbox / "expected.json").read_bytes())


@pytest.fixture(scope="session")
def inventory(export: Path) -> Inventory:
    return completed(read_netbox(Asked(export, planned=False)))


@pytest.fixture(scope="session")
def built(export: Path) -> Inventory:
    return completed(read_netbox(Asked(export, planned=True)))


def loaded(inventory: Inventory, folder: Path) -> Model:
    path = folder / "model.yaml"
    path.write_text(model_text(inventory), encoding="utf-8")
    return load_model(path).model


@pytest.fixture(scope="session")
def model(inventory: Inventory, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return loaded(inventory, tmp_path_factory.mktemp("model"))


def changed(export: Path, folder: Path, name: str, change: Callable[[list[Any]], None]) -> Path:
    """A copy of the export with one list changed."""
    if not folder.exists():
        shutil.copytree(export, folder, ignore=shutil.ignore_patterns("paged"))
    path = folder / f"{name}.json"
    page = json.loads(path.read_bytes())
    change(page["results"])
    path.write_text(json.dumps(page), encoding="utf-8")
    return folder


def sums(inventory: Inventory, what: str) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for total in inventory.totals:
        if total.what == what:
            found.setdefault(total.site, {})[total.status] = total.value
    return found


def test_totals_are_those_of_the_estate(inventory, expected):
    assert sums(inventory, "GPUs") == expected["gpus_by_site_and_status"]
    assert sum(t.value for t in inventory.totals if t.what == "GPUs") == 495
    for what, key, value in [
        ("usable feed VA", "feeds_by_site_and_status", "available_va"),
        ("loop kW", "cooling_feeds_by_site_and_status", "kw"),
    ]:
        wanted = {
            site: {status: part[value] for status, part in parts.items()}
            for site, parts in expected[key].items()
        }
        assert sums(inventory, what) == wanted
    assert sums(inventory, "cooling source kW") == expected["cooling_source_kw_by_site_and_status"]


def test_each_feed_has_its_usable_power(built, expected):
    usable = {
        (feed["site"].lower(), feed["name"].lower()): feed["available_va"]
        for feed in expected["feeds"]
    }
    feeds = built.sections["feeds"]
    assert len(feeds) == 18
    for name, fields in feeds.items():
        region = fields["region"].value
        key = (region, name.removeprefix(f"{region}-"))
        assert fields["capacity_mw"].value == pytest.approx(usable[key] / 1e6)


def test_racks_that_one_feed_does_not_carry_are_found(inventory, expected):
    overloaded = {f.subject for f in inventory.findings if "budgets hang on it" in f.text}
    assert overloaded == {
        f"{rack['site']} {rack['rack']}"
        for rack in expected["rack_on_one_feed"]
        if not rack["allocated_fits_one"]
    }


def test_gpus_in_place_are_in_clusters(model, built, expected, tmp_path):
    active = expected["gpus_by_status"]["active"]
    assert sum(cluster.existing_gpus for cluster in model.clusters.values()) == active
    gpus = expected["gpus_by_status"]
    planned = active + gpus["planned"] + gpus["staged"]
    found = loaded(built, tmp_path).clusters.values()
    assert sum(cluster.existing_gpus for cluster in found) == planned


def test_power_of_gpus_is_that_of_their_servers(export, inventory, expected):
    draw = expected["sum_of_power_port_draw_by_site_and_device_status"]
    ports = json.loads((export / "power-ports.json").read_bytes())["results"]
    nameplates = [
        port["maximum_draw"] or 0
        for port in ports
        if port["device"]["name"] == "Prototyp Nº 1" and port["allocated_draw"] is None
    ]
    for region, more_w in (("pdx-1", 0), ("sjc-1", sum(nameplates))):
        servers = sum(
            fields["existing_gpus"].value * inventory.sections["gpus"][gpu]["power_mw"].value
            for fields in inventory.sections["clusters"].values()
            # That one has no draw in the inventory.
            if fields["region"].value == region and (gpu := fields["gpu"].value) != "h100-nvl"
        )
        hall = inventory.sections["regions"][region]["hall_mw_per_mw"].value
        budget_w = draw[region.upper()]["active"]["allocated_w"] + more_w
        # A type of GPU has one power at all sites, and one server has seven GPUs.
        assert servers * (1 + hall) == pytest.approx(budget_w / 1e6, rel=5e-3)


def test_what_hangs_on_what(model):
    graph = build_graph(model)
    assert blast_radius(graph, "feed:pdx-1-a02-a") == {"cluster:pdx-1-a02-h100-sxm-a02-a"}
    assert blast_radius(graph, "feed:pdx-1-a02-b") == set()
    # Its other feed has failed.
    assert "feed:sjc-1-a02-b" not in graph
    assert blast_radius(graph, "feed:sjc-1-a02-a") == {"cluster:sjc-1-a02-h200-sxm"}
    assert blast_radius(graph, "plant:pdx-1-ch-1") == {
        "plant:pdx-1-chw-b01",
        "plant:pdx-1-chw-b02",
        "cluster:pdx-1-b01-b200",
        "cluster:pdx-1-b02-nvl72-gb200",
    }


def test_a_loop_carries_what_its_distribution_units_do(model):
    assert model.cooling_units["pdx-1-chw-b02-loop"].capacity_mw == pytest.approx(0.121)
    assert model.cooling_units["sjc-1-chw-c7-03-loop"].capacity_mw == pytest.approx(0.08)


def test_nothing_is_invented(inventory):
    """What NetBox does not know is neither stated nor left unsaid."""
    stated = {field for (_, _, field), value in inventory.values() if value.confidence == "stated"}
    assert not stated & {"demand_rps", "ups_minutes", "generator_mw", "failures_per_year", "rps"}
    missing = " ".join(f.text for f in inventory.findings if f.kind == "missing")
    assert "batteries and generators" in missing
    assert "power of the grid connection" in missing
    assert all(
        "# assumed: " in line for line in model_text(inventory).splitlines() if " rps:" in line
    )


@pytest.mark.parametrize("pages", ["devices.page*", "power-ports.page*", "power-feeds.cursor*"])
def test_pages_are_read_like_whole_lists(export, inventory, tmp_path, pages):
    folder = changed(export, tmp_path / "pages", "sites", lambda _: None)
    (folder / f"{pages.split('.')[0]}.json").unlink()
    for page in (export / "paged").glob(f"{pages}.json"):
        shutil.copy(page, folder)
    assert completed(read_netbox(Asked(folder, planned=False))) == inventory


def test_missing_pages_are_told(export, tmp_path):
    folder = changed(export, tmp_path / "pages", "devices", lambda results: results.pop())
    with pytest.raises(InputError, match=r"devices\.json: count: has 60 of 61 objects"):
        read_netbox(Asked(folder, planned=False))


def test_order_changes_nothing(export, inventory, tmp_path):
    for name in ("devices", "power-feeds", "racks", "cooling-feeds", "power-ports"):
        changed(export, tmp_path / "shuffled", name, random.Random(1).shuffle)
    again = completed(read_netbox(Asked(tmp_path / "shuffled", planned=False)))
    assert again.sections == inventory.sections


def test_choices_may_be_bare_values(export, inventory, tmp_path):
    def bare(results):
        for result in results:
            for fields in (result, result["custom_fields"]):
                for key, value in fields.items():
                    if isinstance(value, dict) and value.keys() == {"value", "label"}:
                        fields[key] = value["value"]

    for name in ("device-types", "devices", "power-feeds", "sites"):
        changed(export, tmp_path / "bare", name, bare)
    assert completed(read_netbox(Asked(tmp_path / "bare", planned=False))) == inventory


def test_older_exports_have_no_cooling(export, tmp_path):
    folder = changed(export, tmp_path / "old", "sites", lambda _: None)
    for path in folder.glob("cooling-*.json"):
        path.unlink()
    found = completed(read_netbox(Asked(folder, planned=False)))
    assert any("no cooling-sources" in f.text for f in found.findings)
    assert loaded(found, tmp_path).plants.keys() == {"pdx-1-air", "sjc-1-air"}


HOSTILE = "\x1b[31m\u202e\n- !!python/object/apply:os.system ['x']: {*a, &b}\r# \"'" + "x" * 5000


def test_hostile_names_are_text(export, inventory, tmp_path):
    def rename(results):
        for result in results:
            result["name"] = f"{HOSTILE}{result['id']}"

    for name in ("sites", "racks", "devices", "power-feeds", "power-panels", "cooling-sources"):
        changed(export, tmp_path / "hostile", name, rename)
    changed(export, tmp_path / "hostile", "cooling-feeds", rename)
    found = completed(read_netbox(Asked(tmp_path / "hostile", planned=False)))
    text = model_text(found)
    assert all(char.isprintable() or char == "\n" for char in text)
    assert max(map(len, text.splitlines())) < 1000
    model = loaded(found, tmp_path)
    gpus = [cluster.existing_gpus for cluster in model.clusters.values()]
    assert sum(gpus) == sum(
        f["existing_gpus"].value for f in inventory.sections["clusters"].values()
    )


@given(st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_text_has_a_name(text):
    name = plain(text)
    assert 0 < len(name) <= NAME_LENGTH - len("-loop")
    assert name.replace("-", "").isalnum()
    assert name.isascii()


def test_what_is_not_there_is_refused(export, tmp_path):
    def lose(results):
        results[0]["rack"] = {"id": 999}

    folder = changed(export, tmp_path / "dangling", "devices", lose)
    with pytest.raises(InputError, match=r"racks\.json has no object with id 999"):
        read_netbox(Asked(folder, planned=False))


def test_cables_and_loops_across_sites_are_not_followed(export, inventory, tmp_path):
    """A panel and a source said to be of a site without GPUs, or of another one."""

    def move(results):
        for result in results:
            result["site"] = {
                "id": {"RPP-A1": 2, "CH-1": 2}.get(result["name"], result["site"]["id"])
            }

    for name in ("power-panels", "cooling-sources"):
        changed(export, tmp_path / "moved", name, move)
    found = completed(read_netbox(Asked(tmp_path / "moved", planned=False)))
    model = loaded(found, tmp_path)
    assert "pdx-1-a01-a" not in model.feeds
    assert "pdx-1-b02-nvl72-gb200" in model.plants["pdx-1-air"].cools
    assert any("is liquid-cooled, and no loop" in finding.text for finding in found.findings)
    assert len(model.clusters) == len(inventory.sections["clusters"])
