"""``plan export``, and ``plan import`` of what it writes."""

from __future__ import annotations

import openpyxl
import pytest

from planner.infrastructure.loading import load_model


@pytest.mark.parametrize(("source", "file"), [("xlsx", "tiny.xlsx"), ("csv", "tables")])
def test_a_model_goes_to_a_spreadsheet_and_back(plan, tmp_path, source, file):
    ran = plan("export", "tiny", "-o", tmp_path / file)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.endswith(f"wrote {tmp_path / file}\n")
    made = tmp_path / "made.yaml"
    ran = plan("import", source, tmp_path / file, "-o", made)
    assert ran.code == 0
    assert f"Model from {source}: 2 regions, 2 clusters, 3 plants" in " ".join(ran.out.split())
    assert load_model(made).model == load_model("tiny").model


def test_changes_in_a_spreadsheet_come_into_the_model_that_people_wrote(plan, tmp_path):
    mine, book, after = tmp_path / "mine.yaml", tmp_path / "mine.xlsx", tmp_path / "after.yaml"
    text = load_model("tiny").file.read_text(encoding="utf-8")
    mine.write_text(text, encoding="utf-8")
    assert plan("export", mine, "-o", book).code == 0
    sheets = openpyxl.load_workbook(book)
    sheets["clusters"]["D2"] = 1200
    sheets["finance"]["B2"] = 0.07
    sheets["finance"].append(["tax_rate", 0.3])
    sheets["standard"]["D2"] = 0.9
    sheets["regions"].append(["north", 35.0, 50.0, 8.0])
    sheets.save(book)
    ran = plan("import", "xlsx", book, "--into", mine, "-o", after, "--json")
    assert ran.json["merge"]["added"] == ["finance.tax_rate", "regions.north"]
    assert {d["path"]: d["taken"] for d in ran.json["merge"]["differences"]} == {
        "clusters.west-gpus.existing_gpus": False,
        "finance.discount_rate": False,
        "standard.single": False,
    }
    after.unlink()
    assert plan("import", "xlsx", book, "--into", mine, "--take", "*", "-o", after).code == 0
    written, model = after.read_text(encoding="utf-8"), load_model(after).model
    assert written.startswith(text[:100]) and "west-air" in written
    assert model.clusters["west-gpus"].existing_gpus == 1200
    assert (model.finance.discount_rate, model.finance.tax_rate) == (0.07, 0.3)
    assert model.standard["single"][0].least_served == 0.9
    assert model.regions["north"].power_limit_mw == 8.0


def test_what_was_not_changed_is_no_difference(plan, tmp_path):
    for name in ("chatgpt-2023-measures", "tiny-roadmap"):
        assert plan("export", name, "-o", tmp_path / name).code == 0
        merge = plan("import", "csv", tmp_path / name, "--into", name, "--json").json["merge"]
        assert (merge["differences"], merge["added"]) == ([], [])


def test_a_folder_with_other_tables_is_refused(plan, tmp_path):
    (tmp_path / "offers2.csv").write_text("name\n")
    ran = plan("export", "tiny", "-o", tmp_path)
    assert ran.code == 2
    assert "holds offers2.csv, which an import would read too" in ran.err
    assert plan("export", "tiny", "-o", tmp_path / "no" / "book.xlsx").code == 2
    assert plan("export", "tiny").code == 2


def test_export_as_json_with_settings(plan, tmp_path):
    file = tmp_path / "book.xlsx"
    ran = plan("export", "tiny", "--set", "finance.discount_rate=0.05", "-o", file, "--json", "-q")
    assert (ran.json["model"], ran.json["file"]) == ("tiny", str(file))
    assert plan("import", "xlsx", file, "--planned").code == 0


def test_one_table_changes_a_model(plan, tmp_path):
    (tmp_path / "clusters.csv").write_text("name;existing_gpus\nwest-gpus;1100\n")
    ran = plan("import", "csv", tmp_path, "--into", "tiny", "--take", "*", "--json")
    (difference,) = ran.json["merge"]["differences"]
    assert (difference["path"], difference["taken"]) == ("clusters.west-gpus.existing_gpus", True)
    assert (ran.json["merge"]["added"], ran.json["assumed"]) == ([], [])
    (tmp_path / "clusters.csv").write_text("name;existing_gpus\nwest-gpus;5000\n")
    ran = plan("import", "csv", tmp_path, "--into", "tiny")
    assert ran.code == 2
    assert "clusters.csv:2:2: clusters.west-gpus" in ran.err
