"""Plans on disk: ``plan.json`` and its tables, written atomically and validated when read."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from planner.errors import InputError, OutputError, Problem, refuse
from planner.files import read_bytes, replace_files, write_folder
from planner.infrastructure.catalogue import shipped_models
from planner.infrastructure.complaints import complain
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import plant_units, retirable_blocks, retirable_units
from planner.infrastructure.loading import LoadedModel
from planner.infrastructure.source import Document, SourcePosition, is_file, nearest, printable
from planner.infrastructure.tables import guarded
from planner.json_text import json_text
from planner.plan.consistency import (
    ContradictionError,
    contradictions,
    refuse_changed,
    refuse_contradictions,
)
from planner.plan.records import CoolingLine, EmergencyLine, GpuLine, Plan, Record


def file_of(path: Path) -> Path:
    """File of a plan that is given by its file or its folder.

    Raises
    ------
    InputError
        If no file system takes such a name.
    """
    try:
        if not path.is_dir():
            return path
        file, roadmap = path / "plan.json", path / "roadmap.json"
        return roadmap if roadmap.is_file() and not file.exists() else file
    except OSError as error:
        raise InputError.single(str(path), f"cannot be read: {error.strerror}") from error


def parse_plan(path: Path) -> Plan:
    """Read a plan, given its file or its folder, without checking that it fits a model.

    Raises
    ------
    InputError
        With every problem: unreadable, not a plan, or one that contradicts itself.
    """
    plan = stated_plan(path)
    refuse_contradictions(contradictions(plan), str(file_of(path)))
    refuse_changed(file_of(path))
    return plan


def stated_plan(path: Path) -> Plan:
    """What the file of a plan states, whether or not it agrees with itself.

    Raises
    ------
    InputError
        With every problem: unreadable, or not a plan.
    """
    path = file_of(path)
    data = json_of(path, "a plan")
    if isinstance(data, dict) and data.get("kind") == "roadmap":
        nodes = ", ".join(str(path.parent / name) for name in list(data.get("plans", ()))[:8])
        message = f"is a roadmap; name the plan of one of its periods: {nodes}"
        raise InputError.single(str(path), message)
    _refuse_earlier(data, str(path))
    return located(record_of(data, Plan, path), path.parent)


def json_of(path: Path, what: str) -> Any:
    """What a file holds.

    Parameters
    ----------
    what
        What it should be.

    Raises
    ------
    InputError
        If it is unreadable, or no JSON.
    """
    try:
        return json.loads(read_bytes(path, str(path)))
    except (ValueError, RecursionError) as error:
        raise InputError.single(str(path), f"is not {what} in JSON: {error}") from error


def record_of[R: Record](data: Any, kind: type[R], path: Path) -> R:
    """The record that a file holds.

    Raises
    ------
    InputError
        With everything that is none of its fields, or wrong.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        document = Document(data, {(): SourcePosition(str(path))})
        complain(document, error, kind)
        raise InputError(document.problems) from error


def _refuse_earlier(data: Any, shown: str) -> None:
    """Refuse a plan of a version that wrote less into it than is checked today."""
    versions = data.get("versions") if isinstance(data, dict) else None
    made = str(versions.get("planner")) if isinstance(versions, dict) else ""
    if re.match(r"0\.[0-5]\.", made):
        message = f"was made by version {printable(made)}; plans of version 0.6 and later are read"
        raise InputError.single(shown, f"{message}: make it again with `plan optimize`")


def located(plan: Plan, folder: Path) -> Plan:
    """A plan of a folder with the place of its model as seen from anywhere."""
    path = plan.model.path
    if path is None:
        return plan
    place = os.path.normpath(folder.resolve() / path)
    if path in shipped_models() and not is_file(Path(place)):
        return plan
    return _with_path(plan, Path(place).as_posix())


def placed(plan: Plan, folder: Path) -> Plan:
    """A plan with the place of its model as seen from a folder, as it is written."""
    path = plan.model.path
    if path is None or not Path(path).is_absolute():
        return plan
    try:
        near = Path(os.path.relpath(path, folder.resolve())).as_posix()
        near.encode()
    except ValueError:  # another drive, or a name that JSON does not have
        return plan
    return _with_path(plan, near)


def _with_path(plan: Plan, path: str) -> Plan:
    return plan.model_copy(update={"model": plan.model.model_copy(update={"path": path})})


def read_plan(path: Path, loaded: LoadedModel) -> Plan:
    """Read a plan and check that it fits a model.

    Raises
    ------
    InputError
        With every problem: unreadable, not a plan, or for another model.
    """
    plan = stated_plan(path)
    check_fit(plan, loaded, str(path))
    refuse_contradictions(contradictions(plan), str(path))
    refuse_changed(file_of(path))
    return plan


def check_fit(plan: Plan, loaded: LoadedModel, shown: str) -> None:
    """Check that a plan fits a model: that which it was made for, or one that extends it.

    Parameters
    ----------
    shown
        What the plan is called in problems: its file.

    Raises
    ------
    ContradictionError
        With everything that does not fit, where it is the model that the plan was made for.
    InputError
        With everything that does not fit another.
    """
    found = misfits(plan, loaded)
    problems = [Problem(shown, 0, 0, where, printable(message)) for where, message in found]
    if problems and plan.model.sha256 == loaded.sha256:
        raise ContradictionError(problems)
    refuse(problems)


def is_for(plan: Plan, loaded: LoadedModel) -> bool:
    """Whether a plan was made for a model, whatever it is called now, or one that it extends."""
    same = plan.model.sha256 == loaded.sha256
    return same or plan.model.name in (loaded.name, *loaded.extends)


def misfits(plan: Plan, loaded: LoadedModel) -> list[tuple[str, str]]:
    """Where a plan names things that a model does not have, or counts them differently."""
    model = loaded.model
    found: list[tuple[str, str]] = []
    if not is_for(plan, loaded):
        message = f"the plan is for model `{plan.model.name}`, not `{loaded.name}`"
        found.append(("model.name", f"{message}; give that model, or one that extends it"))
    if not plan.cooling and not plan.gpus and not plan.emergency:
        found.append(("plan", "is empty: it has neither cooling nor GPUs nor emergency capacity"))
    parts = (
        ("cooling", "plant", model.plants),
        ("gpus", "cluster", model.clusters),
        ("emergency", "offer", model.offers),
        ("measures", "measure", model.measures),
    )
    for part, kind, known in parts:
        for number, line in enumerate(getattr(plan, part)):
            name, where = getattr(line, kind), f"{part}.{number}"
            if name in known:
                found += [(f"{where}.{field}", text) for field, text in _wrong(model, line)]
            else:
                message = f"the model has no {kind} `{name}`{nearest(name, known)}"
                found.append((f"{where}.{kind}", message))
    return found


def _wrong(model: Model, line: Record) -> Iterator[tuple[str, str]]:
    """Fields of a line that are other than in the model, each with what is wrong."""
    if isinstance(line, CoolingLine):
        if line.unit not in plant_units(model, line.plant):
            yield "unit", f"`{line.plant}` cannot have `{line.unit}`"
            return
        plant, retirable = model.plants[line.plant], retirable_units(model, line.plant, line.unit)
        yield from _miscounted(line, plant.existing.get(line.unit, 0), retirable, plant.region)
    elif isinstance(line, GpuLine):
        entry = model.clusters[line.cluster]
        retirable = retirable_blocks(model, line.cluster) * entry.block_gpus
        yield from _miscounted(line, entry.existing_gpus, retirable, entry.region)
        if line.total > entry.max_gpus:
            yield "total", f"{line.total} GPUs exceed max_gpus {entry.max_gpus}"
    elif isinstance(line, EmergencyLine):
        offer, count = model.offers[line.offer], line.instances_reserved
        if count < offer.existing_instances:
            message = f"{count} are fewer than the model's {offer.existing_instances} existing"
            yield "instances_reserved", f"{message} instances"
        if line.gpus_reserved != count * offer.gpus_per_instance:
            message = f"{line.gpus_reserved} is not {count} × {offer.gpus_per_instance} GPUs"
            yield "gpus_reserved", f"{message} of an instance"


def _miscounted(
    line: CoolingLine | GpuLine, existing: int, retirable: int, region: str
) -> Iterator[tuple[str, str]]:
    if line.existing != existing:
        yield "existing", f"the plan starts from {line.existing}, the model has {existing}"
    elif line.total != line.existing + line.added - line.retired:
        sum_of = f"{line.existing} + {line.added}" + (f" - {line.retired}" if line.retired else "")
        yield "total", f"{line.total} is not {sum_of}"
    elif line.retired > retirable:
        yield "retired", f"{line.retired} are retired, the model lets {retirable} go"
    if line.region != region:
        yield "region", f"`{line.region}` is not {region}, where the model has it"


#: Tables written beside ``plan.json`` and the part of the plan they hold.
TABLES = ("cooling", "gpus", "emergency", "measures", "scenarios", "cost")


def write_plan(plan: Plan, folder: Path) -> tuple[Path, ...]:
    """Write ``plan.json`` and its tables; every file appears whole or not at all.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    texts = {f"{name}.csv": _table(plan, name) for name in TABLES}
    texts["plan.json"] = placed(plan, folder).to_json()
    return write_texts(folder, texts, plan.solver.seconds)


def write_texts(folder: Path, texts: Mapping[str, str], seconds: float) -> tuple[Path, ...]:
    """Write files that belong together, and beside them how long the solver took, s.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    timing = json_text({"solver_seconds": seconds}) + "\n"
    contents = {name: text.encode() for name, text in texts.items()}
    write_folder(folder, contents, {"timing.json": timing.encode()})
    return tuple(folder / name for name in texts)


def write_tables(
    folder: Path, tables: Mapping[str, Iterable[Mapping[str, Any]]]
) -> tuple[Path, ...]:
    """Write tables as CSV files of a folder; every file appears whole or not at all.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    contents = {folder / f"{name}.csv": csv_text(rows).encode() for name, rows in tables.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_files(contents)
    except OSError as error:
        raise OutputError(folder, error) from error
    return tuple(contents)


def _table(plan: Plan, name: str) -> str:
    """One part of a plan as CSV."""
    source: Any = plan.cost.items if name == "cost" else getattr(plan, name)
    return csv_text(_flat(record) for record in source)


def csv_text(rows: Iterable[Mapping[str, Any]], quoted: bool = True) -> str:
    """Rows as CSV.

    Parameters
    ----------
    quoted
        Whether texts that a spreadsheet would run as formulas are quoted.
    """
    safe = [
        {
            key: guarded(value) if quoted and isinstance(value, str) else value
            for key, value in row.items()
        }
        for row in rows
    ]
    stream = io.StringIO()
    heads = dict.fromkeys(key for row in safe for key in row)
    writer = csv.DictWriter(stream, list(heads), lineterminator="\n")
    writer.writeheader()
    writer.writerows(safe)
    return stream.getvalue()


def _flat(record: Record) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for key, value in record.model_dump(mode="json").items():
        if key == "served":
            row |= {f"served_{tier}": fraction for tier, fraction in value.items()}
        elif key == "first_breach":
            row[key] = value["text"] if value else ""
        else:
            row[key] = value
    return row
