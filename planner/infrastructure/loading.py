"""Model file to `Model`: inheritance, tables, catalogue look-ups, overrides, validation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from planner.errors import InputError
from planner.infrastructure import checks
from planner.infrastructure.catalogue import CATALOGUES, catalogue, shipped_models
from planner.infrastructure.entities import Model
from planner.infrastructure.source import (
    Document,
    Path_,
    Place,
    parse_scalar,
    parse_table,
    parse_yaml,
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
    "scenarios",
)
MOST_ANCESTORS = 20


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
        Hash of all files read and of the overrides.
    overrides
        ``path=value`` settings that were applied.
    """

    model: Model
    name: str
    sha256: str
    overrides: tuple[str, ...] = ()


def load_model(reference: str | Path, overrides: tuple[str, ...] = ()) -> LoadedModel:
    """Load and validate a model.

    Parameters
    ----------
    reference
        Path of a model file, or the name of a shipped model.
    overrides
        Settings ``dotted.path=value`` that replace what the file says.

    Raises
    ------
    InputError
        With every problem found, each with file, line and column.
    """
    path = find_model(reference)
    document = _with_ancestors(path, ())
    _apply_overrides(document, overrides)
    _fill_from_catalogues(document)
    _inject_names(document, path.stem)
    model = _validate(document)
    digest = hashlib.sha256()
    for text in (*document.texts, *(override.encode() for override in overrides)):
        digest.update(hashlib.sha256(text).digest())
    return LoadedModel(model, path.stem, digest.hexdigest(), overrides)


def find_model(reference: str | Path) -> Path:
    """Path of a model file given by path or shipped name.

    Raises
    ------
    InputError
        If there is neither such a file nor such a shipped model.
    """
    path, shipped = Path(reference), shipped_models()
    if path.is_file():
        return path
    if str(reference) in shipped:
        return shipped[str(reference)]
    message = f"no such file or shipped model; shipped are {', '.join(sorted(shipped))}"
    raise InputError.single(str(reference), message + nearest(str(reference), shipped))


def nearest(wrong: str, names: Any) -> str:
    """Hint at the accepted name nearest to a wrong one, or nothing."""
    close = get_close_matches(wrong, [str(name) for name in names], n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _with_ancestors(path: Path, seen: tuple[Path, ...]) -> Document:
    """Read a file and, below it, everything it extends."""
    resolved = path.resolve()
    shown = str(path)
    if resolved in seen or len(seen) >= MOST_ANCESTORS:
        chain = " → ".join(one.name for one in (*seen, resolved))
        raise InputError.single(shown, f"`extends` goes in a circle: {chain}")
    document = parse_yaml(read_bytes(path, shown), shown)
    _read_tables(document, resolved.parent)
    if "extends" not in document.data:
        return document
    parent = document.data.pop("extends")
    place = document.place(("extends",))
    if not isinstance(parent, str):
        raise InputError.single(shown, "`extends` must name a model file", place.line, place.column)
    target = resolved.parent / parent
    if not target.is_file():
        shipped = shipped_models()
        if parent not in shipped:
            message = f"`extends: {parent}`: no such file{nearest(parent, shipped)}"
            raise InputError.single(shown, message, place.line, place.column)
        target = shipped[parent]
    base = _with_ancestors(target, (*seen, resolved))
    return _merged(base, document)


def _read_tables(document: Document, folder: Path) -> None:
    """Replace every section given as the name of a CSV file by the rows of that file."""
    for section, value in list(document.data.items()):
        if not (section in SECTIONS and isinstance(value, str)):
            continue
        target = (folder / value).resolve()
        place = document.place((section,))
        if target.parent != folder or target.suffix != ".csv":
            message = f"`{section}: {value}`: expected a mapping or a .csv file beside the model"
            raise InputError.single(place.file, message, place.line, place.column)
        table = parse_table(read_bytes(target, str(target.name)), target.name, (section,))
        document.data[section] = table.data
        document.places |= table.places
        document.texts += table.texts


def _merged(base: Document, over: Document) -> Document:
    """Lay one document over another: mappings merge, null removes, all else replaces."""

    def merge(low: Any, high: Any) -> Any:
        if isinstance(low, dict) and isinstance(high, dict):
            merged = {key: merge(low[key], high[key]) if key in high else low[key] for key in low}
            merged |= {key: value for key, value in high.items() if key not in low}
            return {key: value for key, value in merged.items() if value is not None}
        return high

    places = base.places | over.places
    return Document(merge(base.data, over.data), places, [], base.texts + over.texts)


def _apply_overrides(document: Document, overrides: tuple[str, ...]) -> None:
    for override in overrides:
        path_text, equals, value = override.partition("=")
        parts = tuple(part for part in path_text.strip().split(".") if part)
        if not equals or not parts:
            raise InputError.single(f"--set {override}", "expected dotted.path=value")
        target: Any = document.data
        for part in parts[:-1]:
            target = target.setdefault(part, {}) if isinstance(target, dict) else None
        if not isinstance(target, dict):
            raise InputError.single(f"--set {override}", "leads below a value that has no fields")
        target[parts[-1]] = parse_scalar(value)
        stale = [path for path in document.places if path[: len(parts)] == parts]
        for path in stale:
            del document.places[path]
        document.places[parts] = Place(f"--set {override}")


def _fill_from_catalogues(document: Document) -> None:
    """Fill fields that an entry leaves out from the catalogue entry named by its `from`."""
    for section, file in CATALOGUES.items():
        entries = document.data.get(section)
        if not isinstance(entries, dict):
            continue
        known = get_args(Model.model_fields[section].annotation)[-1]
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
            for attribute, value in found.items():
                if attribute in _field_names(known) and attribute not in entry:
                    entry[attribute] = value
                    document.places.setdefault((section, name, attribute), place)


def _field_names(entity: Any) -> set[str]:
    if isinstance(entity, type) and issubclass(entity, BaseModel):
        return set(entity.model_fields)
    return set().union(*(_field_names(part) for part in get_args(entity)), set())


def _inject_names(document: Document, name: str) -> None:
    """Give every entity the name it stands under."""
    document.data.setdefault("name", name)
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


def _complain(document: Document, detail: ErrorDetails) -> None:
    """Turn a pydantic error into a problem with its place."""
    path = _existing_path(document, detail["loc"])
    kind, message = detail["type"], detail["msg"]
    if kind == "extra_forbidden":
        accepted = sorted(_accepted_fields(detail["loc"][:-1]))
        hint = nearest(str(detail["loc"][-1]), accepted)
        message = f"is not a field here{hint}" if hint else "is not a field here"
        message += f" (accepted: {', '.join(accepted)})" if accepted and not hint else ""
    elif kind == "missing":
        path = (*_existing_path(document, detail["loc"][:-1]), str(detail["loc"][-1]))
        message = "is missing"
    elif kind == "string_pattern_mismatch":
        message = "is not a name: expected letters, digits, . _ @ -, at most 64, no leading sign"
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
