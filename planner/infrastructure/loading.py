"""Model file to `Model`: inheritance, tables, catalogue look-ups, overrides, validation."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from planner.errors import InputError, refuse
from planner.files import read_bytes
from planner.infrastructure import checks
from planner.infrastructure.catalogue import (
    CATALOGUES,
    catalogue,
    data_directory,
    demand_shape,
    demand_shape_names,
    hot_week,
    hot_week_names,
    shipped_models,
)
from planner.infrastructure.complaints import complain, shown_value
from planner.infrastructure.entities import Model
from planner.infrastructure.field_types import (
    SECTIONS,
    SERIES,
    entity_of,
    field_of,
    plain_types,
    types_at,
)
from planner.infrastructure.fields import NAME_LENGTH
from planner.infrastructure.horizon import MONTH_PATTERN
from planner.infrastructure.overrides import apply_overrides, changes_of, merged, multiplied
from planner.infrastructure.quantities import QUANTITY_STARTS, factor, quantity
from planner.infrastructure.source import Document, is_file, nearest, parse_yaml, printable, walk
from planner.infrastructure.tables import csv_grid, read_entries, read_series

MOST_ANCESTORS = 20
#: What every plan and roadmap states and no model, and what to do with one.
OF_PLANS = frozenset({"schema_version", "versions", "created"})
AS_A_PLAN = "give it as PLAN, or with --plan where a command takes a model first"
#: Whether models may extend files that are not below their folder.
EXTENDS_OUTSIDE = ContextVar("extends outside", default=False)
#: What was expected, by regular expression of a text field.
PATTERNS = {MONTH_PATTERN: "a month like 2026-01"}


@contextmanager
def extending_outside(allowed: bool = True) -> Iterator[None]:
    """Let models that are loaded inside extend any file, where that is allowed."""
    token = EXTENDS_OUTSIDE.set(allowed or EXTENDS_OUTSIDE.get())
    try:
        yield
    finally:
        EXTENDS_OUTSIDE.reset(token)


@dataclass(frozen=True)
class LoadedModel:
    """A model with its name, file and checksum.

    Parameters
    ----------
    model
        The validated model.
    name
        Name of the file without its ending.
    sha256
        Hash of all files read, of the catalogue entries, shapes and hot weeks used and of the
        overrides.
    overrides
        ``path=value`` settings that were applied.
    file
        The file; None for a model that was not read from one.
    extends
        Names of the models that it extends, the nearest first.
    replaced
        Lists of a model it extends that its file replaces, in words.
    digests
        Hashes of files, catalogue entries and overrides, of which `sha256` is the hash.
    """

    model: Model
    name: str
    sha256: str
    overrides: tuple[str, ...] = ()
    file: Path | None = None
    extends: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    digests: tuple[bytes, ...] = field(default=(), repr=False)

    def set_to(self, model: Model, settings: tuple[str, ...]) -> LoadedModel:
        """As if it had been loaded with further settings, which make the model given."""
        digests = (*self.digests, *_hashes(text.encode() for text in settings))
        return LoadedModel(
            model, self.name, _hash_of(digests), (*self.overrides, *settings), self.file,
            self.extends, self.replaced, digests,
        )  # fmt: skip


def _hashes(texts: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(hashlib.sha256(text).digest() for text in texts)


def _hash_of(digests: tuple[bytes, ...]) -> str:
    return hashlib.sha256(b"".join(digests)).hexdigest()


def load_model(
    reference: str | Path,
    overrides: tuple[str, ...] = (),
    beneath: tuple[str, tuple[str, ...]] = ("", ()),
    text: str | None = None,
) -> LoadedModel:
    """Load and validate a model.

    Parameters
    ----------
    reference
        Path of a model file, or the name of a shipped model.
    overrides
        Settings ``dotted.path=value`` that replace what the file says.
    beneath
        Name of a model, and settings of it that come before `overrides`. Where the file extends
        that model, what the file says replaces them.
    text
        Text of the file instead of what stands there, if it is there at all.

    Raises
    ------
    InputError
        With every problem found, each with file, line and column.
    """
    path = find_model(reference) if text is None else Path(reference)
    document = _with_ancestors(path, (), beneath, text)
    if beneath[0] not in document.names:
        apply_overrides(document, beneath[1])
    apply_overrides(document, overrides)
    model = model_of(document, path.stem)
    settings = (*beneath[1], *overrides)
    texts = [*document.texts, *_series_used(model)]
    digests = _hashes([*texts, *(setting.encode() for setting in settings)])
    return LoadedModel(
        model=model,
        name=path.stem,
        sha256=_hash_of(digests),
        overrides=settings,
        file=path,
        extends=document.names[1:],
        replaced=document.replaced,
        digests=digests,
    )


def extension(reference: str | Path, overrides: tuple[str, ...]) -> dict[str, Any]:
    """What a file that extends a model says to change it as settings do.

    Raises
    ------
    InputError
        If the model cannot be read, or a setting is wrong.
    """
    path = find_model(reference)
    base, document = _with_ancestors(path, ()), _with_ancestors(path, ())
    apply_overrides(document, overrides)
    refuse(document.problems)
    return changes_of(base.data, document.data)


def model_of(document: Document, name: str) -> Model:
    """The model of a document that nothing is inherited by or set in any more.

    Parameters
    ----------
    name
        Name of the model, unless the document states one.

    Raises
    ------
    InputError
        With every problem found, each with its place.
    """
    _fill_from_catalogues(document)
    _read_quantities(document)
    _fill_from_gpus(document)
    _inject_names(document, name)
    return _validate(document)


def _series_used(model: Model) -> Iterator[bytes]:
    """Shapes of demand and hot weeks that a model takes from the catalogues by their names."""
    shapes = {zone.shape for zone in model.zones.values()} - model.shapes.keys()
    climates = {place.climate or "" for place in model.regions.values()} - model.climates.keys()
    for name in sorted(shapes.intersection(demand_shape_names())):
        yield json.dumps([name, demand_shape(name)]).encode()
    for name in sorted(climates.intersection(hot_week_names())):
        yield json.dumps([name, hot_week(name)]).encode()


@dataclass(frozen=True)
class CatalogueUse:
    """Fields that an entry of a model takes from a catalogue."""

    section: str
    name: str
    file: str
    entry: str
    attributes: tuple[str, ...]


def catalogue_uses(
    reference: str | Path, overrides: tuple[str, ...] = ()
) -> tuple[CatalogueUse, ...]:
    """Fields that a valid model takes from the catalogues, in the order of the model.

    Raises
    ------
    InputError
        If the model cannot be read.
    """
    document = _with_ancestors(find_model(reference), ())
    apply_overrides(document, overrides)
    found = []
    for section, file in CATALOGUES.items():
        for name, entry in (document.data.get(section) or {}).items():
            if not isinstance(entry, dict) or "from" not in entry:
                continue
            wanted = str(entry["from"])
            offered = catalogue(file).get(wanted, {})
            fields = set(entity_of(section).model_fields)
            taken = tuple(field for field in offered if field in fields and field not in entry)
            found.append(CatalogueUse(section, str(name), file, wanted, taken))
    return tuple(found)


def find_model(reference: str | Path) -> Path:
    """Path of a model file given by path or shipped name.

    Raises
    ------
    InputError
        If there is neither such a file nor such a shipped model.
    """
    return find_file(reference, shipped_models(), "model")


def find_file(reference: str | Path, shipped: Mapping[str, Path], kind: str) -> Path:
    """Path of a file given by path, or by the name of one that is shipped.

    Raises
    ------
    InputError
        If there is neither such a file nor such a shipped one.
    """
    path, wanted = Path(reference), str(reference)
    if is_file(path):
        return path
    if wanted in shipped:
        return shipped[wanted]
    known = f"shipped are {', '.join(sorted(shipped))}{nearest(wanted, shipped, 3)}"
    what = f"no such file or shipped {kind}; {known}"
    with suppress(OSError, ValueError):
        if path.is_dir():
            what = f"is a directory; expected a file; {known}"
            if any((path / name).is_file() for name in ("plan.json", "roadmap.json")):
                what = f"is the folder of a plan or roadmap: {AS_A_PLAN}"
        elif path.exists():
            what = f"is not a regular file; {known}"
    raise InputError.single(printable(wanted), what)


def _with_ancestors(
    path: Path,
    seen: tuple[Path, ...],
    beneath: tuple[str, tuple[str, ...]] = ("", ()),
    text: str | None = None,
) -> Document:
    """Read a file and, below it, everything it extends, with settings of one of them."""
    content = read_bytes(path, str(path)) if text is None else text.encode()
    document = _read_whole(path, content, seen, beneath)
    document.names = (path.stem, *document.names)
    if path.stem == beneath[0] and path.stem not in (ancestor.stem for ancestor in seen):
        apply_overrides(document, beneath[1])
    return document


def _read_whole(
    path: Path, content: bytes, seen: tuple[Path, ...], beneath: tuple[str, tuple[str, ...]]
) -> Document:
    resolved = path.resolve()
    shown = str(path)
    document = parse_yaml(content, shown)
    if document.data.keys() >= OF_PLANS:
        raise InputError.single(shown, f"is a plan or roadmap, and no model: {AS_A_PLAN}")
    _read_tables(document, path)
    if "extends" not in document.data:
        return document
    parent = document.data.pop("extends")
    place = document.place(("extends",))
    if not isinstance(parent, str):
        raise InputError.single(shown, "`extends` must name a model file", place.line, place.column)
    target = resolved.parent / parent
    if not is_file(target):
        shipped = shipped_models()
        if parent not in shipped:
            known = f"shipped are {', '.join(sorted(shipped))}{nearest(parent, shipped, 3)}"
            message = f"`extends: {printable(parent)}`: no such file or shipped model; {known}"
            raise InputError.single(shown, message, place.line, place.column)
        target = shipped[parent]
    elif not EXTENDS_OUTSIDE.get():
        folders = {resolved.parent, (seen or (resolved,))[0].parent}
        folders.add(data_directory("models").resolve())
        if not any(target.resolve().is_relative_to(folder) for folder in folders):
            message = f"`extends: {printable(parent)}` is outside of the folder of the model; "
            message += "`plan --extends-outside …` reads it all the same"
            raise InputError.single(shown, message, place.line, place.column)
    line = (*seen, resolved, target.resolve())
    if line[-1] in line[:-1] or len(line) > MOST_ANCESTORS:
        chain = " → ".join(file.name for file in line)
        what = "is circular" if line[-1] in line[:-1] else f"spans more than {MOST_ANCESTORS} files"
        raise InputError.single(shown, f"`extends` {what}: {chain}", place.line, place.column)
    base = _with_ancestors(target, (*seen, resolved), beneath)
    return merged(base, document)


def _read_tables(document: Document, model_path: Path) -> None:
    """Replace every section given as the name of a CSV file by the rows of that file."""
    folder = model_path.resolve().parent
    for section, value in list(document.data.items()):
        if not (section in (*SECTIONS, *SERIES) and isinstance(value, str)):
            continue
        if value != Path(value).name or not value.endswith(".csv"):
            document.complain(
                (section,),
                f"{shown_value(value)} is neither a mapping nor a .csv file in the same folder",
            )
            continue
        target, shown = folder / value, str(model_path.parent / value)
        if not is_file(target):
            document.complain((section,), f"there is no {shown_value(value)} in the same folder")
            continue
        if target.resolve().parent != folder:
            document.complain(
                (section,), f"{shown_value(value)} is a symbolic link to another folder"
            )
            continue
        try:
            content = read_bytes(target, shown)
            read = read_series if section in SERIES else read_entries
            table = read(csv_grid(content, shown), section)
        except InputError as error:
            document.problems += error.problems
            continue
        document.data[section] = table.data[section]
        document.places |= table.places
        document.texts += table.texts
    refuse(document.problems)


def _fill_from_catalogues(document: Document) -> None:
    """Fill fields that an entry leaves out from the catalogue entry named by its `from`."""
    for section, file in CATALOGUES.items():
        entries = document.data.get(section)
        if not isinstance(entries, dict):
            continue
        fields = set(entity_of(section).model_fields)
        for name, entry in entries.items():
            if not isinstance(entry, dict) or "from" not in entry:
                continue
            wanted = entry.pop("from")
            found = catalogue(file).get(str(wanted))
            if found is None:
                hint = nearest(str(wanted), catalogue(file), 3)
                document.complain((section, name, "from"), f"`{wanted}` is not in {file}{hint}")
                continue
            place = document.place((section, name, "from"))
            document.texts.append(json.dumps(found).encode())
            for attribute, value in found.items():
                times = factor(entry.get(attribute))
                if times is not None and isinstance(value, int | float):
                    entry[attribute] = multiplied(value, times)
                elif attribute in fields and attribute not in entry:
                    entry[attribute] = value
                    document.places.setdefault((section, name, attribute), place)


def _read_quantities(document: Document) -> None:
    """Replace texts such as ``16 MW`` or ``5M`` by numbers, where the model has a number."""
    for path, value in list(walk(document.data)):
        if not (isinstance(value, str) and value[:1] in QUANTITY_STARTS):
            continue
        kinds = set().union(*(plain_types(kind) for kind in types_at(path)), set())
        number = quantity(value, field_of(path)) if kinds & {int, float} else None
        if number is None or str in kinds:
            continue
        target: Any = document.data
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = int(number) if number.is_integer() and float not in kinds else number


def _fill_from_gpus(document: Document) -> None:
    """Fill temperatures that a cluster leaves to the type of its GPUs."""
    gpus, clusters = document.data.get("gpus"), document.data.get("clusters")
    if not isinstance(gpus, dict) or not isinstance(clusters, dict):
        return
    for name, entry in clusters.items():
        kind = gpus.get(str(entry.get("gpu"))) if isinstance(entry, dict) else None
        if not isinstance(kind, dict):
            continue
        for limit in ("throttle_c", "shutdown_c"):
            if limit not in entry and isinstance(kind.get(limit), int | float):
                entry[limit] = kind[limit]
                place = document.place(("gpus", str(entry["gpu"]), limit))
                document.places.setdefault(("clusters", name, limit), place)


def _inject_names(document: Document, name: str) -> None:
    """Give every entity its key as name."""
    document.data.setdefault("name", _as_name(name))
    for section in SECTIONS:
        entries = document.data.get(section)
        if not isinstance(entries, dict):
            continue
        for key, entry in entries.items():
            if not isinstance(entry, dict):
                continue
            if entry.get("name", key) != key:
                document.complain((section, key, "name"), f"contradicts its key `{key}`")
            entry["name"] = key


def _as_name(stem: str) -> str:
    """Valid name of a model from the name of its file."""
    name = re.sub(r"[^A-Za-z0-9_.@-]", "-", stem).lstrip("_.@-")[:NAME_LENGTH]
    return name or "model"


def _validate(document: Document) -> Model:
    """Validate structure and references together, so that one run shows every problem."""
    model: Model | None = None
    try:
        model = Model.model_validate(document.data)
    except ValidationError as error:
        complain(document, error, patterns=PATTERNS)
    checks.check_references(document)
    if model is not None and not document.problems:
        checks.check_plausibility(model, document)
    if document.problems or model is None:
        raise InputError(document.problems)
    return model
