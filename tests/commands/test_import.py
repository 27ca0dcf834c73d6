"""``plan import``."""

from __future__ import annotations

import pytest
from support import CHECKOUT

from planner.infrastructure.loading import load_model

IMPORTS = CHECKOUT / "tests" / "imports"


@pytest.fixture
def mine(plan, export, tmp_path):
    path = tmp_path / "mine.yaml"
    assert plan("import", "netbox", export, "-o", path, "-q").code == 0
    return path


def test_import_writes_a_model_that_is_valid(plan, export, tmp_path):
    path = tmp_path / "mine.yaml"
    ran = plan("import", "netbox", export, "-o", path)
    assert ran.code == 0
    assert ran.err.endswith(f"wrote {path}\n")
    assert "Model from netbox: 2 regions, 9 clusters, 13 feeds, 7 plants, 231 GPUs." in ran.out
    assert "39,600 W of budgets hang on it" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert [file.name for file in tmp_path.iterdir()] == ["mine.yaml"]
    checked = plan("check", path)
    assert (checked.code, checked.err) == (0, "")
    assert "mine is valid." in checked.out


def test_import_says_what_goes_down_with_what(plan, mine):
    ran = plan("graph", mine, "--blast", "pdx-1-ch-1", "--json")
    assert ran.code == 0
    assert ran.json["blast"]["gpus"] == 104


def test_import_as_json(plan, export):
    ran = plan("import", "netbox", export, "--json", "-q", "--planned")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["counts"]["regions"] == 3
    assert sum(t["value"] for t in ran.json["totals"] if t["what"] == "GPUs") == 495
    assert {finding["kind"] for finding in ran.json["findings"]} == {
        "missing",
        "suspect",
        "left out",
    }
    assert "zones.users.demand_rps" in {assumed["path"] for assumed in ran.json["assumed"]}


def test_import_overwrites_nothing(plan, export, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("precious", encoding="utf-8")
    ran = plan("import", "netbox", export, "-o", path)
    assert (ran.code, ran.out, path.read_text(encoding="utf-8")) == (2, "", "precious")
    assert "mine.yaml: exists and is not overwritten" in ran.err


def test_import_without_a_file_writes_nothing(plan, export, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = plan("import", "netbox", export)
    assert ran.code == 0
    assert "nothing was written" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_import_into_a_model_shows_a_diff_and_writes_with_o(plan, export, mine, tmp_path):
    text = mine.read_text(encoding="utf-8").replace("existing_gpus: 32", "existing_gpus: 30")
    mine.write_text(text, encoding="utf-8")
    ran = plan("import", "netbox", export, "--into", mine)
    assert ran.code == 0
    assert "clusters.pdx-1-b01-b200.existing_gpus" in ran.out
    assert mine.read_text(encoding="utf-8") == text
    after = tmp_path / "after.yaml"
    taken = ("--take", "clusters.*.existing_gpus")
    ran = plan("import", "netbox", export, "--into", mine, "-o", after, *taken, "--json")
    assert "+    existing_gpus: 32  # 4 devices" in ran.json["merge"]["diff"]
    assert load_model(after).model.clusters["pdx-1-b01-b200"].existing_gpus == 32
    assert plan("import", "netbox", export, "--into", mine, "-o", mine).code == 2


def test_import_into_a_model_is_checked_without_o_too(plan, export, mine):
    """What is taken over need not fit what the file says beside it."""
    text = mine.read_text(encoding="utf-8").replace("existing_gpus: 32", "existing_gpus: 30")
    mine.write_text(text.replace("max_gpus: 32", "max_gpus: 31"), encoding="utf-8")
    taken = ("--into", mine, "--take", "clusters.*.existing_gpus")
    ran = plan("import", "netbox", export, *taken)
    assert (ran.code, ran.out) == (2, "")
    assert "32 existing GPUs exceed max_gpus 31" in ran.err
    assert f"{mine}:" in ran.err


def test_import_tells_all_problems_at_once(plan, export, tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    for path in export.glob("*.json"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "racks.json").unlink()
    (folder / "sites.json").write_text("[" * 100_000, encoding="utf-8")
    feeds = (folder / "power-feeds.json").read_text(encoding="utf-8")
    (folder / "power-feeds.json").write_text(feeds.replace('"voltage":-48', '"voltage":NaN'))
    ran = plan("import", "netbox", folder)
    assert (ran.code, ran.out) == (2, "")
    assert "3 problems in the input" in ran.err
    assert ".voltage: input should be a finite number, not nan" in ran.err
    assert "racks.json: is missing" in ran.err
    assert "sites.json: invalid JSON" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("netbox", "nowhere"), 2, "nowhere: is not a folder"),
        (("inventory", "."), 2, "'inventory' is not one of 'netbox'"),
        (("kubernetes",), 2, "Name PATH or --url"),
        (("netbox", ".", "--url", "https://x"), 2, "Name PATH or --url, and not both"),
        (("kubernetes", "--url", "https://x"), 2, "kubernetes has no --url"),
        (("netbox", ".", "--name", "gpus=x"), 2, "one of gpu_type, gpu_count"),
        (("netbox", ".", "--take", "x"), 2, "--take needs --into"),
        (("netbox", ".", "-o", "model.json"), 2, "ends in .yaml or .yml"),
    ],
)
def test_import_refuses(plan, arguments, code, said):
    ran = plan("import", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err


def test_import_needs_gpus(plan, export, tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    for path in export.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        (folder / path.name).write_text(text.replace('"gpu_count"', '"x"'), encoding="utf-8")
    ran = plan("import", "netbox", folder)
    assert ran.code == 2
    assert "no device in place has GPUs" in ran.err


def test_import_of_custom_fields_that_have_other_names(plan, export, tmp_path):
    folder, names = tmp_path / "export", ("gpu_count", "grid_connection_mw")
    folder.mkdir()
    for path in export.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        for name in names:
            text = text.replace(f'"{name}"', f'"our_{name}"')
        (folder / path.name).write_text(text, encoding="utf-8")
    said = [part for name in names for part in ("--name", f"{name}=our_{name}")]
    ran = plan("import", "netbox", folder, *said, "--json")
    assert ran.json == plan("import", "netbox", export, "--json").json


@pytest.mark.parametrize(
    ("source", "file", "gpus"),
    [("kubernetes", "kubernetes.json", 75), ("terraform", "terraform-plan.json", 98)],
)
def test_import_of_a_cluster_or_a_state(plan, tmp_path, source, file, gpus):
    path = tmp_path / "mine.yaml"
    ran = plan("import", source, IMPORTS / file, "-o", path)
    assert ran.code == 0
    assert f"{gpus} GPUs" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    assert plan("check", path).code == 0
    take = ("--take", "clusters.*_gpus")
    merged = plan("import", source, IMPORTS / file, "--into", path, "--planned", *take)
    assert merged.code == 0
    assert "clusters.us-east-1b-h100-80gb" in merged.out
