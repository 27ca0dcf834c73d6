"""Model file to `Model`: inheritance, tables, catalogue look-ups, overrides, validation."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from planner.errors import InputError, Problem
from planner.infrastructure import checks
from planner.infrastructure.catalogue import CATALOGUES, catalogue, shipped_models
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Heat, LargestUnitsLoss, NodeLoss, Sag, Surge, UnitLoss
from planner.infrastructure.fields import NAME_LENGTH, NAME_PATTERN
from planner.infrastructure.source import (
    Columns,
    Document,
    Path_,
    Place,
    is_file,
    parse_table,
    parse_value,
    parse_yaml,
    printable,
    read_bytes,
    walk,
)

#: Sections that list entities by name.
SECTIONS = (
    "regions",
    "gpus",
    "clusters",
    "cooling_units",
    "plants",
    "feeds",
    "services",
    "tiers",
    "zones",
    "offers",
    "measures",
    "scenarios",
)
MOST_ANCESTORS = 20
NAME_RULE = "expected letters, digits, . _ @ -, starting with a letter or digit"
#: Event of each kind.
EVENTS: dict[str, type[BaseModel]] = {
    kind: event
    for event in (UnitLoss, LargestUnitsLoss, NodeLoss, Sag, Heat, Surge)
    for kind in get_args(event.model_fields["kind"].annotation)
}


@dataclass(frozen=True)
class LoadedModel:
    """A model with what identifies it.

    Parameters
    ----------
    model
        The validated model.
    name
        Name of the file without its ending.
    sha256
        Hash of all files read, of the catalogue entries used and of the overrides.
    overrides
        ``path=value`` settings that were applied.
    file
        The file; None for a model that was not read from one.
    extends
        Names of the models that it extends, the nearest first.
    """

    model: Model
    name: str
    sha256: str
    overrides: tuple[str, ...] = ()
    file: Path | None = None
    extends: tuple[str, ...] = ()


def load_model(
    reference: str | Path,
    overrides: tuple[str, ...] = (),
    beneath: tuple[str, tuple[str, ...]] = ("", ()),
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

    Raises
    ------
    InputError
        With every problem found, each with file, line and column.
    """
    path = find_model(reference)
    document = _with_ancestors(path, (), beneath)
    if beneath[0] not in document.names:
        _apply_overrides(document, beneath[1])
    _apply_overrides(document, overrides)
    _fill_from_catalogues(document)
    _inject_names(document, path.stem)
    model = _validate(document)
    digest, settings = hashlib.sha256(), (*beneath[1], *overrides)
    for text in (*document.texts, *(setting.encode() for setting in settings)):
        digest.update(hashlib.sha256(text).digest())
    return LoadedModel(model, path.stem, digest.hexdigest(), settings, path, document.names[1:])


@dataclass(frozen=True)
class CatalogueUse:
    """What an entry of a model takes from a catalogue.

    Parameters
    ----------
    section, name
        The entry of the model.
    file, entry
        The catalogue and what of it is named by `from`.
    attributes
        Fields that the model leaves to it.
    """

    section: str
    name: str
    file: str
    entry: str
    attributes: tuple[str, ...]


def catalogue_uses(
    reference: str | Path, overrides: tuple[str, ...] = ()
) -> tuple[CatalogueUse, ...]:
    """What a model that can be loaded takes from the catalogues, in the order of the model.

    Raises
    ------
    InputError
        If the model cannot be read.
    """
    document = _with_ancestors(find_model(reference), ())
    _apply_overrides(document, overrides)
    found = []
    for section, file in CATALOGUES.items():
        for name, entry in (document.data.get(section) or {}).items():
            if not isinstance(entry, dict) or "from" not in entry:
                continue
            wanted = str(entry["from"])
            offered = catalogue(file).get(wanted, {})
            fields = set(_entity(section).model_fields)
            taken = tuple(one for one in offered if one in fields and one not in entry)
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
    known = f"shipped are {', '.join(sorted(shipped))}{nearest(wanted, shipped)}"
    try:
        what = f"is a directory, no {kind} file" if path.is_dir() else "no such file"
    except (OSError, ValueError):
        what = "no such file"
    raise InputError.single(printable(wanted), f"{what} or shipped {kind}; {known}")


def nearest(wrong: str, names: Iterable[object]) -> str:
    """Hint at the accepted name nearest to a wrong one, or nothing."""
    close = get_close_matches(wrong, [str(name) for name in names], n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _with_ancestors(
    path: Path, seen: tuple[Path, ...], beneath: tuple[str, tuple[str, ...]] = ("", ())
) -> Document:
    """Read a file and, below it, everything it extends, with settings of one of them."""
    document = _read_whole(path, seen, beneath)
    document.names = (path.stem, *document.names)
    if path.stem == beneath[0] and path.stem not in (one.stem for one in seen):
        _apply_overrides(document, beneath[1])
    return document


def _read_whole(
    path: Path, seen: tuple[Path, ...], beneath: tuple[str, tuple[str, ...]]
) -> Document:
    resolved = path.resolve()
    shown = str(path)
    document = parse_yaml(read_bytes(path, shown), shown)
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
            known = f"shipped are {', '.join(sorted(shipped))}{nearest(parent, shipped)}"
            message = f"`extends: {printable(parent)}`: no such file or shipped model; {known}"
            raise InputError.single(shown, message, place.line, place.column)
        target = shipped[parent]
    line = (*seen, resolved, target.resolve())
    if line[-1] in line[:-1] or len(line) > MOST_ANCESTORS:
        chain = " → ".join(one.name for one in line)
        what = "goes in a circle" if line[-1] in line[:-1] else f"goes over {MOST_ANCESTORS} files"
        raise InputError.single(shown, f"`extends` {what}: {chain}", place.line, place.column)
    base = _with_ancestors(target, (*seen, resolved), beneath)
    return _merged(base, document)


def _read_tables(document: Document, model_path: Path) -> None:
    """Replace every section given as the name of a CSV file by the rows of that file."""
    folder = model_path.resolve().parent
    for section, value in list(document.data.items()):
        if not (section in SECTIONS and isinstance(value, str)):
            continue
        if value != Path(value).name or not value.endswith(".csv"):
            document.complain((section,), f"{_shown(value)} is no mapping and no .csv file beside")
            continue
        target, shown = folder / value, str(model_path.parent / value)
        if not is_file(target):
            document.complain((section,), f"no file {_shown(value)} beside the model")
            continue
        if target.resolve().parent != folder:
            document.complain((section,), f"{_shown(value)} is a link that leads elsewhere")
            continue
        columns = _columns(_entity(section))
        try:
            table = parse_table(read_bytes(target, shown), shown, (section,), columns)
        except InputError as error:
            document.problems += error.problems
            continue
        document.data[section] = table.data
        document.places |= table.places
        document.texts += table.texts
    if document.problems:
        raise InputError(document.problems)


def _columns(entity: type[BaseModel]) -> Columns:
    """Columns of a table of entities that hold text or lists."""
    kinds = {name: field.annotation for name, field in entity.model_fields.items()}
    return Columns(
        frozenset({"from"} | {n for n, kind in kinds.items() if str in _plain_types(kind)}),
        frozenset(name for name, kind in kinds.items() if get_origin(kind) is tuple),
    )


def _plain_types(annotation: Any) -> set[Any]:
    inner = [_plain_types(part) for part in get_args(annotation)]
    return {annotation}.union(*inner) if get_origin(annotation) is not tuple else set()


def _merged(base: Document, over: Document) -> Document:
    """Lay one document over another: mappings merge, null removes, all else replaces."""

    def merge(low: Any, high: Any) -> Any:
        if isinstance(low, dict) and isinstance(high, dict):
            merged = {key: merge(low[key], high[key]) if key in high else low[key] for key in low}
            merged |= {key: value for key, value in high.items() if key not in low}
            return {key: value for key, value in merged.items() if value is not None}
        return high

    places, texts = base.places | over.places, base.texts + over.texts
    return Document(merge(base.data, over.data), places, base.problems, texts, base.names)


def _apply_overrides(document: Document, overrides: tuple[str, ...]) -> None:
    for override in overrides:
        shown = printable(override)
        option = f"--set {shown if len(shown) <= 100 else shown[:97] + '...'}"
        try:
            _apply_override(document, override, Place(option))
        except ValueError as error:
            document.problems.append(Problem(option, 0, 0, "", str(error)))


def _apply_override(document: Document, override: str, place: Place) -> None:
    """Set one value; a ``ValueError`` says what is wrong with the setting."""
    path_text, equals, value = override.partition("=")
    parts = _override_path(document.data, path_text.strip())
    if not equals or "" in parts:
        raise ValueError("expected dotted.path=value")
    target: Any = document.data
    for depth, part in enumerate(parts[:-1]):
        if isinstance(target, list):
            target = target[_index(target, part)]
            continue
        if not isinstance(target, dict):
            break
        if depth == 1 and parts[0] in SECTIONS and part not in target:
            # A misspelt name must not become a new entity.
            known = ", ".join(list(target)[:12]) + (", …" if len(target) > 12 else "")
            hint = nearest(str(part), target)
            raise ValueError(
                f"`{printable(str(part))}` is not among {parts[0]} ({known or 'none'}){hint}"
            )
        if part not in target:
            target[part] = {}
            document.places[parts[: depth + 1]] = place
        target = target[part]
    if not isinstance(target, dict | list):
        raise ValueError("leads below a value that has no fields")
    new = parse_value(value)
    for path in [path for path in document.places if path[: len(parts)] == parts]:
        del document.places[path]
    document.places[parts] = place
    if isinstance(target, list):
        target[_index(target, parts[-1])] = new
    elif new is None and parts[-1] in target:
        del target[parts[-1]]  # as in a file that extends another, null removes
    else:
        target[parts[-1]] = new


def _index(entries: list[Any], part: int | str) -> int:
    if isinstance(part, int) and part < len(entries):
        return part
    raise ValueError(f"`{printable(str(part))}` is no entry of a list of {len(entries)}, from 0")


def _override_path(data: Any, text: str) -> Path_:
    """Split a dotted path; a name with dots is taken whole where the model has it.

    An entry of a list may stand in brackets: ``standard.region[2]`` is ``standard.region.2``.
    """
    parts = re.sub(r"\[(\d+)\]", r".\1", text).split(".")
    path: list[int | str] = []
    while parts:
        taken, part = 1, parts[0]
        if isinstance(data, dict):
            lengths = range(len(parts), 0, -1)
            taken = next((n for n in lengths if ".".join(parts[:n]) in data), 1)
            part = ".".join(parts[:taken])
            data = data.get(part)
            path.append(part)
        elif isinstance(data, list) and part.isascii() and part.isdigit():
            index = int(part[:9])
            data = data[index] if index < len(data) else None
            path.append(index)
        else:
            data = None
            path.append(part)
        parts = parts[taken:]
    return tuple(path)


def _fill_from_catalogues(document: Document) -> None:
    """Fill fields that an entry leaves out from the catalogue entry named by its `from`."""
    for section, file in CATALOGUES.items():
        entries = document.data.get(section)
        if not isinstance(entries, dict):
            continue
        fields = set(_entity(section).model_fields)
        for name, entry in entries.items():
            if not isinstance(entry, dict) or "from" not in entry:
                continue
            wanted = entry.pop("from")
            found = catalogue(file).get(str(wanted))
            if found is None:
                hint = nearest(str(wanted), catalogue(file))
                document.complain((section, name, "from"), f"`{wanted}` is not in {file}{hint}")
                continue
            place = document.place((section, name, "from"))
            document.texts.append(json.dumps(found).encode())
            for attribute, value in found.items():
                if attribute in fields and attribute not in entry:
                    entry[attribute] = value
                    document.places.setdefault((section, name, attribute), place)


def _entity(section: str) -> type[BaseModel]:
    """Entity of a section: the last type argument of `Table[Region]`."""
    entity = get_args(Model.model_fields[section].annotation)[-1]
    assert isinstance(entity, type) and issubclass(entity, BaseModel)
    return entity


def _field_names(entity: Any) -> set[str]:
    if isinstance(entity, type) and issubclass(entity, BaseModel):
        return set(entity.model_fields)
    return set().union(*(_field_names(part) for part in get_args(entity)), set())


def _inject_names(document: Document, name: str) -> None:
    """Give every entity the name it stands under."""
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
    """Name of a model for a file that may be called anything."""
    name = re.sub(r"[^A-Za-z0-9_.@-]", "-", stem).lstrip("_.@-")[:NAME_LENGTH]
    return name or "model"


def _validate(document: Document) -> Model:
    """Validate structure and references together, so that one run shows every problem."""
    model: Model | None = None
    try:
        model = Model.model_validate(document.data)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _complain(document, detail)
    checks.check_references(document)
    if model is not None and not document.problems:
        checks.check_sense(model, document)
    if document.problems or model is None:
        raise InputError(document.problems)
    return model


#: What was expected, by type of pydantic error, where its own words are those of Python.
EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "a whole number",
    "mapping_type": "a mapping",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "string_type": "text",
    "string_unicode": "text",
    "tuple_type": "a list",
}


def _complain(document: Document, detail: ErrorDetails) -> None:
    """Turn a pydantic error into a problem with its place."""
    path = _existing_path(document, detail["loc"])
    kind, message = detail["type"], detail["msg"]
    context = detail.get("ctx", {})
    if kind == "extra_forbidden":
        accepted = sorted(_accepted_fields(detail["loc"][:-1]))
        hint = nearest(str(detail["loc"][-1]), accepted)
        message = f"is not a field here{hint}" if hint else "is not a field here"
        message += f" (accepted: {', '.join(accepted)})" if accepted and not hint else ""
    elif kind == "missing":
        if any(
            problem.where == ".".join((*map(str, path), "from")) for problem in document.problems
        ):
            return  # the catalogue entry that would supply it is not there
        path = (*_existing_path(document, detail["loc"][:-1]), str(detail["loc"][-1]))
        message = "is missing"
    elif path[2:] == ("name",) and path[1] == detail["input"]:
        return  # complained about as a key
    elif kind == "string_pattern_mismatch" and context.get("pattern") == NAME_PATTERN:
        message = f"is not a name: {NAME_RULE}, not {_shown(detail['input'])}"
    elif kind == "string_pattern_mismatch":
        message = f"must not have signs that steer a terminal, as {_shown(detail['input'])} has"
    elif kind == "union_tag_not_found":
        path, message = (*path, "kind"), f"is missing; expected one of {', '.join(EVENTS)}"
    elif kind == "union_tag_invalid":
        tag = str(context.get("tag", ""))
        message = f"expected one of {', '.join(EVENTS)}, not {_shown(tag)}"
        path, message = (*path, "kind"), message + nearest(tag, EVENTS)
    elif kind == "too_short":
        if isinstance(detail["input"], list | dict) and detail["input"]:
            return  # its entries are wrong, and said to be
        message = "is empty; expected at least one entry"
    elif kind == "literal_error":
        expected = str(context.get("expected", ""))
        hint = nearest(str(detail["input"]), re.findall(r"'([^']*)'", expected))
        message = f"expected {expected}, not {_shown(detail['input'])}{hint}"
    elif kind in EXPECTED:
        message = f"expected {EXPECTED[kind]}, not {_shown(detail['input'])}"
    else:
        message = f"{message[:1].lower()}{message[1:]}, not {_shown(detail['input'])}"
    document.complain(path, message)


def _existing_path(document: Document, location: tuple[int | str, ...]) -> Path_:
    """Path in the file for a location of pydantic, which also names union members and keys."""
    path: Path_ = ()
    data: Any = document.data
    for part in location:
        if isinstance(data, dict) and part in data:
            path, data = (*path, part), data[str(part)]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            path, data = (*path, part), data[part]
    return path


def _accepted_fields(location: tuple[int | str, ...]) -> set[str]:
    """Field names accepted at a location, found by walking the types of `Model`."""
    types: list[Any] = [Model]
    if location[:1] == ("scenarios",) and location[2:3] == ("events",) and len(location) > 4:
        # The part after the index is the kind of the event, by which pydantic tells them apart.
        types, location = [EVENTS[str(location[4])]], location[5:]
    for part in location:
        deeper: list[Any] = []
        for one in types:
            deeper += _step(one, part)
        types = deeper or types
    return set().union(*(_field_names(one) for one in types), set()) - {"name"}


def _step(one: Any, part: int | str) -> list[Any]:
    if isinstance(one, type) and issubclass(one, BaseModel):
        return [one.model_fields[part].annotation] if part in one.model_fields else []
    return _models_in(one)


def _models_in(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    alias = annotation if get_args(annotation) else getattr(annotation, "__value__", annotation)
    return [model for inner in get_args(alias) for model in _models_in(inner)]


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'}"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


__all__ = ["SECTIONS", "LoadedModel", "find_model", "load_model", "nearest", "walk"]
