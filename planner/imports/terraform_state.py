"""What ``terraform show -json`` printed: resources of all modules, and which refer to which."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from planner.errors import InputError
from planner.imports.inventory import Asked
from planner.imports.reading import read_files
from planner.infrastructure.source import MOST_VALUES, walk

#: What other resources call a resource, the surest first.
IDENTITIES = ("id", "self_link", "arn", "name")
_INDEX = re.compile(r'\[(\d+|"(\\.|[^"\\])*")\]')


class Resource(BaseModel):
    """A resource with the values of its attributes."""

    model_config = ConfigDict(frozen=True)
    address: str
    mode: str = "managed"
    type: str
    name: str
    index: str | int | None = None
    values: dict[str, Any] = {}

    def __hash__(self) -> int:
        return hash(self.address)

    @property
    def local(self) -> str:
        """What its module calls it, without its index."""
        return f"{self.type}.{self.name}"

    @property
    def module(self) -> str:
        """Address of its module, with a dot; empty for the root."""
        return self.address[: max(0, self.address.rfind(self.local))]


class _Module(BaseModel):
    resources: Annotated[tuple[Resource, ...], Field(max_length=MOST_VALUES)] = ()
    child_modules: tuple[_Module, ...] = ()

    def every(self) -> Iterator[Resource]:
        yield from (resource for resource in self.resources if resource.mode == "managed")
        for module in self.child_modules:
            yield from module.every()


class _Values(BaseModel):
    root_module: _Module = _Module()


class _State(BaseModel):
    values: _Values = _Values()


class _Shown(BaseModel):
    format_version: Annotated[str, Field(pattern=r"^[01]\.")]
    values: _Values | None = None
    planned_values: _Values | None = None
    prior_state: _State = _State()
    configuration: dict[str, Any] = {}


@dataclass(frozen=True)
class Estate:
    """Resources, and the configuration that makes them."""

    resources: tuple[Resource, ...]
    configuration: dict[str, Any]

    def related(self, resource: Resource, *types: str) -> tuple[Resource, ...]:
        """Resources of some types that a resource names: by its values, else by its configuration.

        What is known only after an apply has no value in a plan.
        """
        named = _texts(resource.values)
        for identity in IDENTITIES:
            known = self._by_identity.get(identity, {})
            if hits := {r for text in named for r in known.get(text, ()) if r.type in types}:
                return tuple(sorted(hits, key=lambda hit: hit.address))
        references = _texts(self._configured(resource).get("expressions"))
        found = tuple(
            other
            for other in self.resources
            if other.type in types and other.module == resource.module and other.local in references
        )
        return tuple(other for other in found if other.index == resource.index) or found

    @cached_property
    def _by_identity(self) -> Mapping[str, Mapping[str, list[Resource]]]:
        found: dict[str, dict[str, list[Resource]]] = {}
        for resource in self.resources:
            for identity in IDENTITIES:
                if isinstance(text := resource.values.get(identity), str) and text:
                    found.setdefault(identity, {}).setdefault(text, []).append(resource)
        return found

    def _configured(self, resource: Resource) -> dict[str, Any]:
        """What the configuration says of a resource, empty if nothing."""
        path = _INDEX.sub("", resource.module).rstrip(".").split(".")[1::2]
        module = self.configuration.get("root_module")
        for call in path:
            module = inner(module, "module_calls", call, "module")
        listed = inner(module, "resources")
        blocks = (r for r in listed if isinstance(r, dict)) if isinstance(listed, list) else ()
        return next((block for block in blocks if block.get("address") == resource.local), {})

    def provider_region(self, resource: Resource) -> str:
        """Region that the provider of a resource is configured with; empty if unknown."""
        key = str(self._configured(resource).get("provider_config_key"))
        said = inner(self.configuration, "provider_config", key, "expressions", "region")
        region = inner(said, "constant_value")
        return region if isinstance(region, str) else ""


def read_estates(asked: Asked) -> tuple[Estate, ...]:
    """Read a plan or a state, or a folder of them: what is in place, or what is planned.

    Raises
    ------
    InputError
        If it is neither.
    """
    assert asked.path is not None
    found = []
    for file, shown in read_files(asked.path, _Shown):
        planned = shown.planned_values if asked.planned else shown.prior_state.values
        values = shown.values or (planned if shown.planned_values else None)
        if values is None:
            message = "has neither `values` nor `planned_values`; expected `terraform show -json`"
            raise InputError.single(file, message)
        found.append(Estate(tuple(values.root_module.every()), shown.configuration))
    return tuple(found)


def inner(value: Any, *path: str) -> Any:
    """A value inside of blocks, of which the first counts; None if it is not there."""
    for part in path:
        if isinstance(value, list):
            value = value[0] if value else None
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _texts(value: Any) -> set[str]:
    """All texts inside of a value."""
    return {text for _, text in walk(value) if isinstance(text, str)}
