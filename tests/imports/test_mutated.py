"""Exports with something wrong in them: a model that loads, or a problem that is told."""

from __future__ import annotations

import json
import random
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from planner.errors import InputError
from planner.imports.inventory import Asked
from planner.imports.model_text import completed, model_text
from planner.infrastructure.loading import load_model

HERE = Path(__file__).parent
ODD = (
    None,
    "",
    "\x1b[31m\u202e\n- x: {*a}",
    -1,
    0,
    7.5,
    10**9,
    10**30,
    True,
    [],
    {},
    [None],
    "NaN",
)
TRIES = 25


def mutated(value: Any, chance: random.Random) -> None:
    """Change something inside of a value: remove it, repeat it, or make it odd."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = chance.choice(keys)
        inside = value[key]
        if isinstance(inside, dict | list) and inside and chance.random() < 0.9:
            value = inside
            continue
        if chance.random() < 0.2:
            del value[key]
        else:
            value[key] = chance.choice(ODD)
        return


@pytest.mark.parametrize("planned", [False, True])
@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("kubernetes", HERE / "kubernetes.json"),
        ("terraform", HERE / "terraform-plan.json"),
        ("netbox", None),
        ("prometheus", None),
    ],
)
def test_mutated_exports_load_or_are_refused(source, file, planned, export, tmp_path):
    importer = import_module(f"planner.imports.{source}").IMPORTER
    chance, loaded = random.Random(f"{source}{planned}"), 0
    folder = tmp_path / "export"
    files = export if source == "netbox" else HERE / "prometheus"
    if file is None:
        shutil.copytree(files, folder, ignore=shutil.ignore_patterns("paged"))
    for _ in range(TRIES):
        name = file or chance.choice(sorted(files.glob("*.json")))
        content = json.loads(name.read_bytes())
        for _ in range(chance.randint(1, 3)):
            mutated(content, chance)
        path = tmp_path / "changed.json" if file else folder / name.name
        path.write_text(json.dumps(content), encoding="utf-8")
        asked = Asked(path if file else folder, planned=planned, names=dict(importer.names))
        try:
            found = completed(importer.read(asked))
            text = model_text(found)
        except InputError as error:
            assert str(error).isprintable() or "\n" in str(error)
        else:
            told = [text, *(f"{f.subject}{f.text}" for f in found.findings)]
            told += [f"{total.site}{total.status}" for total in found.totals]
            assert all(char.isprintable() or char == "\n" for char in "".join(told))
            model = tmp_path / "model.yaml"
            model.write_text(text, encoding="utf-8")
            load_model(model)
            loaded += 1
        if not file:
            shutil.copy(name, path)
    # Nearly all of an answer are samples, of which each must be one.
    assert loaded > (-1 if source == "prometheus" else TRIES / 10)


HOSTILE = "\x1b[31m\u202e\n- !!python/object/apply:os.system ['x']: {*a, &b}\r# \"'" + "x" * 500


@pytest.mark.parametrize(
    ("source", "file", "names"),
    [
        (
            "kubernetes",
            "kubernetes.json",
            ("us-east-1a", "us-west-2", "H100", "chat", "interactive"),
        ),
        ("terraform", "terraform-plan.json", ("h100-serving", "us-east-1a", "nvidia-tesla-t4")),
        ("prometheus", "prometheus", ("paid", "eu", "us-east-1", "NVIDIA H200")),
    ],
)
def test_hostile_names_are_text(source, file, names, tmp_path):
    importer = import_module(f"planner.imports.{source}").IMPORTER
    before = importer.read(Asked(HERE / file, names=importer.names))
    for path in (HERE / file).glob("*.json") if (HERE / file).is_dir() else [HERE / file]:
        text = path.read_text(encoding="utf-8")
        for name in names:
            text = text.replace(name, json.dumps(HOSTILE + name)[1:-1])
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    folder = tmp_path if source == "prometheus" else tmp_path / file
    found = completed(importer.read(Asked(folder, names=importer.names)))
    text = model_text(found)
    assert all(char.isprintable() or char == "\n" for char in text)
    told = [f"{f.subject}{f.text}" for f in found.findings]
    told += [f"{total.site}{total.status}" for total in found.totals]
    assert "".join(told).isprintable()
    model = tmp_path / "model.yaml"
    model.write_text(text, encoding="utf-8")
    gpus = [cluster.existing_gpus for cluster in load_model(model).model.clusters.values()]
    assert sum(gpus) == before.gpus
