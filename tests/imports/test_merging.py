"""Inventories merged into models that people have written on."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.imports.inventory import Asked, Inventory, Stated
from planner.imports.merging import Merged, merge
from planner.imports.model_text import completed, model_text
from planner.imports.netbox import read_netbox
from planner.infrastructure.loading import load_model


@pytest.fixture(scope="session")
def inventory(export: Path) -> Inventory:
    return completed(read_netbox(Asked(export, planned=False)))


def merged(text: str, inventory: Inventory, folder: Path, *take: str) -> Merged:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return merge(load_model(path), text, inventory, take)


def of_text(text: str, folder: Path) -> Any:
    path = folder / "after.yaml"
    path.write_text(text, encoding="utf-8")
    return load_model(path).model


def without(text: str, entry: str) -> str:
    """A text without an entry of a section."""
    return re.sub(rf"^  {entry}:.*\n(?:    .*\n)*", "", text, flags=re.MULTILINE)


def test_a_model_that_says_it_all_stays(inventory, tmp_path):
    text = model_text(inventory)
    found = merged(text, inventory, tmp_path)
    assert (found.text, found.diff("m"), found.added, found.differences) == (text, "", (), ())


def test_what_is_by_hand_stays(inventory, tmp_path):
    text = model_text(inventory)
    text = text.replace("    existing_gpus: 23  # 3 devices", "    existing_gpus: 20 # mine")
    text = without(text, "sjc-1-a01-a")
    text = text.replace("    latitude: 45.5421\n", "")
    text += "\nfinance: {discount_rate: 0.05} # by hand\n"
    found = merged(text, inventory, tmp_path)
    assert found.added == ("feeds.sjc-1-a01-a", "regions.pdx-1.latitude")
    assert [(d.path, d.model, d.inventory, d.taken) for d in found.differences] == [
        ("clusters.pdx-1-a02-h100-sxm.existing_gpus", 20, 23, False)
    ]
    removed = [line for line in found.diff("m").splitlines()[2:] if line.startswith("-")]
    assert removed == []
    model = of_text(found.text, tmp_path)
    assert model.feeds["sjc-1-a01-a"].powers == ("sjc-1-a01-h100-sxm",)
    assert model.regions["pdx-1"].latitude == pytest.approx(45.5421)
    assert model.clusters["pdx-1-a02-h100-sxm"].existing_gpus == 20
    assert merged(found.text, inventory, tmp_path).text == found.text


def test_the_inventory_has_the_last_word_where_asked(inventory, tmp_path):
    text = model_text(inventory).replace("existing_gpus: 23  # 3", "existing_gpus: 20  # 3")
    text = text.replace('cools: ["pdx-1-b01-b200"]', "cools: [pdx-1-b01-b200, pdx-1-a01-h100-sxm]")
    found = merged(text, inventory, tmp_path, "clusters.*.existing_gpus", "plants.pdx-1-chw-b01.*")
    assert [difference.taken for difference in found.differences] == [True, True]
    assert of_text(found.text, tmp_path) == of_text(model_text(inventory), tmp_path)


def test_an_inventory_that_has_grown(inventory, tmp_path):
    text = model_text(inventory).replace("_gpus: 32", "_gpus: 24")
    found = merged(text, inventory, tmp_path, "clusters.*_gpus")
    assert [difference.path for difference in found.differences] == [
        "clusters.pdx-1-b01-b200.existing_gpus",
        "clusters.pdx-1-b01-b200.max_gpus",
    ]
    assert found.text == model_text(inventory)


def test_entries_in_braces_and_empty_sections(inventory, tmp_path):
    text = model_text(inventory)
    start = text.index("\nfeeds:") + 1
    for feeds in (
        "feeds: {}\n",
        "",
        "feeds: {mine: {region: pdx-1, capacity_mw: 1.0, powers: [pdx-1-ch-1]}}\n",
    ):
        mine = text[:start] + feeds + text[text.index("\ntiers:") :]
        found = merged(mine, inventory, tmp_path)
        model = of_text(found.text, tmp_path)
        names = set(inventory.sections["feeds"]) | ({"mine"} if "mine" in feeds else set())
        assert set(model.feeds) == names
        assert found.unknown == (("feeds.mine",) if "mine" in feeds else ())


def test_a_section_that_is_a_table_is_refused(inventory, tmp_path):
    text = model_text(inventory)
    start = text.index("\nfeeds:") + 1
    (tmp_path / "feeds.csv").write_text("name,region,capacity_mw\nmine,pdx-1,1.0\n")
    mine = text[:start] + "feeds: feeds.csv\n" + text[text.index("\ntiers:") :]
    with pytest.raises(InputError, match="feeds is no mapping in this file"):
        merged(mine, inventory, tmp_path)


def test_aliases_are_left_alone(inventory, tmp_path):
    text = model_text(inventory)
    text = text.replace(
        "  pdx-1-chw-b01-loop:  # CHW B01", "  pdx-1-chw-b01-loop: &loop  # CHW B01"
    )
    text = without(text, "pdx-1-chw-b02-loop")
    text = text.replace(
        "  sjc-1-chw-c7-03-loop:", "  pdx-1-chw-b02-loop: *loop\n  sjc-1-chw-c7-03-loop:"
    )
    text = text.replace("0.121  # least of loop 121", "0.5  # least of loop 121")
    found = merged(text, inventory, tmp_path, "cooling_units.pdx-1-chw-b02-loop.*")
    assert [d.taken for d in found.differences] == [False, False]
    assert found.text == text


@given(st.data())
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_entries_that_are_gone_come_back_and_no_line_goes(inventory, tmp_path, data):
    names = [(s, n) for s in ("feeds", "cooling_units") for n in inventory.sections[s]]
    whole = text = model_text(inventory)
    gone = data.draw(st.sets(st.sampled_from([n for s, n in names if s == "feeds"]), max_size=12))
    for name in gone:
        text = without(text, name)
    found = merged(text, inventory, tmp_path)
    assert sorted(found.text.splitlines()) == sorted(whole.splitlines())
    assert set(found.added) == {f"feeds.{name}" for name in gone}


def test_a_field_of_the_last_entry_stays_with_it(inventory, tmp_path):
    """Of the last region a field is missing, and a region behind it."""
    names = list(inventory.sections["regions"])
    text = model_text(inventory)
    last, other = names[-1], names[0]
    sections = {
        name: {e: f for e, f in entries.items() if other not in e}
        for name, entries in inventory.sections.items()
    }
    zone = {**inventory.sections["zones"]["users"], "latency_ms": Stated({last: 0.0})}
    sections["zones"] = {"users": zone}
    text = model_text(replace(inventory, sections=sections))
    line = next(line for line in text.splitlines(True) if line.startswith("    longitude:"))
    found = merged(text.replace(line, ""), inventory, tmp_path)
    assert f"regions.{other}" in found.added
    assert f"regions.{last}.longitude" in found.added
    regions = of_text(found.text, tmp_path).regions
    wanted = inventory.sections["regions"]
    assert {n: r.longitude for n, r in regions.items()} == {
        name: fields["longitude"].value for name, fields in wanted.items()
    }
