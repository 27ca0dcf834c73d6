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

    @property
    def configured(self) -> str:
        """Address of what makes it in the configuration: without indexes."""
        return re.sub(r'\[(\d+|"(\\.|[^"\\])*")\]', "", self.module) + self.local


class Module(BaseModel):
    """Resources of a module and of those in it."""

    resources: Annotated[tuple[Resource, ...], Field(max_length=MOST_VALUES)] = ()
    child_modules: tuple[Module, ...] = ()

    def every(self) -> Iterator[Resource]:
        """Resources that Terraform manages."""
        yield from (resource for resource in self.resources if resource.mode == "managed")
        for module in self.child_modules:
            yield from module.every()


class Values(BaseModel):
    """Values of a state."""

    root_module: Module = Module()


class State(BaseModel):
    """A state."""

    values: Values = Values()


class ConfiguredResource(BaseModel):
    """A resource of the configuration, whose expressions name others."""

    address: str
    provider_config_key: str = ""
    expressions: Any = None


class Call(BaseModel):
    """A call of a module."""

    module: ConfiguredModule | None = None


class ConfiguredModule(BaseModel):
    """A module of the configuration."""

    resources: tuple[ConfiguredResource, ...] = ()
    module_calls: Mapping[str, Call] = {}

    def every(self, prefix: str = "") -> Iterator[tuple[str, ConfiguredResource]]:
        """Resources with their addresses."""
        for resource in self.resources:
            yield prefix + resource.address, resource
        for name, call in self.module_calls.items():
            if call.module is not None:
                yield from call.module.every(f"{prefix}module.{name}.")


class Provider(BaseModel):
    """A provider of the configuration."""

    expressions: Any = None


class Configuration(BaseModel):
    """The configuration of a plan."""

    provider_config: Mapping[str, Provider] = {}
    root_module: ConfiguredModule = ConfiguredModule()


class Shown(BaseModel):
    """A state, or a plan with what is planned and what there is."""

    format_version: Annotated[str, Field(pattern=r"^[01]\.")]
    values: Values | None = None
    planned_values: Values | None = None
    prior_state: State = State()
    configuration: Configuration = Configuration()


@dataclass(frozen=True)
class Estate:
    """Resources, and what their configuration says of each."""

    resources: tuple[Resource, ...]
    configured: Mapping[str, ConfiguredResource]
    providers: Mapping[str, Provider]

    def related(self, resource: Resource, *types: str) -> tuple[Resource, ...]:
        """Resources of some types that a resource names: by its values, else by its configuration.

        What is known only after an apply has no value in a plan.
        """
        named = set(_texts(resource.values))
        for identity in IDENTITIES:
            known = self._by_identity.get(identity, {})
            if hits := [r for text in named for r in known.get(text, ()) if r.type in types]:
                return tuple(sorted(set(hits), key=lambda hit: hit.address))
        configured = self.configured.get(resource.configured)
        references = set(_texts(configured.expressions)) if configured else set()
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

    def provider_region(self, resource: Resource) -> str:
        """Region that the provider of a resource is configured with; empty if unknown."""
        configured = self.configured.get(resource.configured)
        provider = self.providers.get(configured.provider_config_key) if configured else None
        region = inner(provider.expressions if provider else None, "region", "constant_value")
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
    for file, shown in read_files(asked.path, Shown):
        planned = shown.planned_values if asked.planned else shown.prior_state.values
        values = shown.values or (planned if shown.planned_values else None)
        if values is None:
            message = "has neither `values` nor `planned_values`; expected `terraform show -json`"
            raise InputError.single(file, message)
        resources = tuple(values.root_module.every())
        configured = dict(shown.configuration.root_module.every())
        found.append(Estate(resources, configured, shown.configuration.provider_config))
    return tuple(found)


def inner(value: Any, *path: str) -> Any:
    """A value inside of blocks, of which the first counts; None if it is not there."""
    for part in path:
        if isinstance(value, list):
            value = value[0] if value else None
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _texts(value: Any) -> Iterator[str]:
    """All texts inside of a value."""
    return (text for _, text in walk(value) if isinstance(text, str))
