"""Variants that are kept: a plan in a folder, and a model file that extends what was explored."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from planner.errors import InputError
from planner.explore.planning import Answer, reopened
from planner.files import write_file
from planner.infrastructure.catalogue import shipped_models
from planner.infrastructure.entities import Model
from planner.infrastructure.loading import EXTENDS_OUTSIDE, LoadedModel, load_model
from planner.infrastructure.quantities import factor
from planner.infrastructure.source import parse_value
from planner.plan.files import is_for, parse_plan, write_plan

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,40}")


def kept_in(folder: Path, loaded: LoadedModel) -> Iterator[tuple[str, Answer]]:
    """Plans for a model in the folders of a folder, by their names."""
    for file in sorted(folder.glob("*/plan.json")):
        try:
            if is_for(parse_plan(file), loaded):
                yield file.parent.name, reopened(file)[0]
        except InputError:
            continue  # some other file; whoever names it is told what is wrong with it


def keep(name: str, answer: Answer, folder: Path) -> list[str]:
    """Write an answer as ``NAME/plan.json`` with its tables, and its model as ``NAME.yaml``.

    Returns
    -------
    list of str
        What was written, and how it is opened again.

    Raises
    ------
    InputError
        If the name is none, something has it already, or settings cannot be stated in a file.
    OutputError
        If the folder cannot be written.
    """
    if not NAME.fullmatch(name):
        message = "expected letters, digits and `_ . -`, at most 41, the first a letter or digit"
        raise InputError.single("name of the variant", message)
    if answer.plan is None or answer.loaded is None:
        raise InputError.single(name, "there is no plan to keep")
    place, file = folder / name, folder / f"{name}.yaml"
    for path in (place, file):
        if path.exists():
            raise InputError.single(str(path), "is there already; take another name")
    write_file(model_text(answer.loaded, folder).encode(), file)
    outside = _check_same(file, answer.loaded.model)
    plan = write_plan(answer.plan, place)[-1]
    told = [f"wrote {plan} and {file}; `{shlex.join(['plan', 'explore', str(place)])}` opens it"]
    if outside:
        told.append(
            f"{file} extends a file outside of its folder: `plan --extends-outside` reads it"
        )
    return told


def model_text(loaded: LoadedModel, folder: Path) -> str:
    """A model file in a folder that extends the file of a model and says its settings."""
    name, file = loaded.name, loaded.file
    parent = name
    if file is not None and shipped_models().get(name) != file:
        parent = Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix()
    data: dict[str, Any] = {"extends": parent}
    values = loaded.model.model_dump(mode="json", exclude_defaults=True)
    for setting in loaded.overrides:
        path, _, text = setting.partition("=")
        parts = re.sub(r"\[(\d+)\]", r".\1", path.strip()).split(".")
        _put(data, values, parts, text.strip())
    written: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    return written


def _put(target: dict[str, Any], values: Any, parts: list[str], text: str) -> None:
    """Say one setting: a list has to be said whole, as it then is."""
    # A name with dots is taken whole where the model has it, as `--set` does.
    lengths = range(len(parts), 0, -1)
    known = values if isinstance(values, dict) else {}
    taken = next((n for n in lengths if ".".join(parts[:n]) in known), 1)
    head, rest = ".".join(parts[:taken]), parts[taken:]
    below = known.get(head)
    if not rest:
        target[head] = text if factor(text) is not None else parse_value(text)
    elif isinstance(below, list):
        target[head] = below
    else:
        _put(target.setdefault(head, {}), below, rest, text)


def _check_same(file: Path, model: Model) -> bool:
    """Whether a file extends another outside of its folder; removed where it is not the model."""
    for outside in (False, True):
        token = EXTENDS_OUTSIDE.set(outside)
        try:
            if load_model(file).model.replace(name=model.name) == model:
                return outside
        except InputError:
            continue
        finally:
            EXTENDS_OUTSIDE.reset(token)
    file.unlink()
    message = "these settings cannot be stated in a model file; the command line can"
    raise InputError.single(str(file), message)
