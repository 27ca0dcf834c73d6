"""``plan catalogue``."""

from __future__ import annotations

import json

import pytest

from planner.infrastructure.catalogue import CATALOGUES, catalogue, demand_shape_names


def test_names_of_everything_that_models_can_take(plan):
    ran = plan("catalogue")
    assert ran.code == 0
    for name in [
        *demand_shape_names(),
        *(n for file in CATALOGUES.values() for n in catalogue(file)),
    ]:
        assert name in ran.out


@pytest.mark.parametrize("section", ["gpus", "cooling", "offers", "climate", "shapes"])
def test_a_section_lists_its_entries(plan, section):
    names = json.loads(plan("catalogue", "--json").out)[section]
    shown = plan("catalogue", section)
    assert shown.code == 0 and all(name in shown.out for name in names)
    assert list(json.loads(plan("catalogue", section, "--json").out)) == names


def test_an_entry_tells_the_source_of_every_figure(plan):
    ran = plan("catalogue", "cooling", "chiller-3.5")
    found = json.loads(plan("catalogue", "cooling", "chiller-3.5", "--json").out)["chiller-3.5"]
    assert ran.code == 0
    for figure in found:
        assert figure["attribute"] in ran.out and figure["confidence"] in ran.out


def test_an_unknown_entry_lists_near_ones(plan):
    ran = plan("catalogue", "gpus", "h100")
    assert ran.code == 2
    assert "did you mean `H100-SXM5-80GB`?" in ran.err
    assert plan("catalogue", "gpu").code == 2
