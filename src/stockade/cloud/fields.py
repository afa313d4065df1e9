"""The keys of the cloud file, looked up by path or listed, from the models in `file`."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from stockade.cloud.document import Path
from stockade.cloud.file import CloudFile
from stockade.cloud.section import Section


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file."""

    path: str
    """Dotted, with `<name>` for names the operator chooses."""
    description: str
    example: Any
    section: bool
    """True if the key holds further keys, each with an entry of its own."""


def field_at(path: Path) -> tuple[str, FieldInfo] | None:
    """The lowest key on the way to `path`, and its field; None if there is no such key."""
    found: tuple[str, FieldInfo] | None = None
    for name, field, _below in _descend(path):
        if field is not None:
            found = (name, field)
    return found


def keys_at(path: Path) -> tuple[str, ...]:
    """The keys that a mapping at `path` takes; none where the operator chooses them."""
    below = [annotation for _name, _field, annotation in _descend(path)]
    section = section_of(below[-1] if below else CloudFile)
    return tuple(section.model_fields) if section else ()


def _descend(path: Path) -> Iterator[tuple[str, FieldInfo | None, Any]]:
    """Each part of `path`: its name, its field if it is a key of the file's own, and what it holds."""
    annotation: Any = CloudFile
    for part in path:
        section = section_of(annotation, containers=False)
        field = section.model_fields.get(str(part)) if section else None
        annotation = field.annotation if field else None if section else _inner_of_container(annotation)
        yield str(part), field, annotation


def words_of(field: FieldInfo) -> tuple[str, ...]:
    """The words a field of a closed list accepts."""
    return tuple(str(word.value) for kind in _parts(field.annotation) if _is_enum(kind) for word in kind)


def section_of(annotation: Any, *, containers: bool = True) -> type[Section] | None:
    """The section an annotation names, if it is one or may be one; with `containers`, in a list too."""
    for part in _parts(annotation, containers=containers):
        if isinstance(part, type) and issubclass(part, Section):
            return part
    return None


def walk(section: type[Section] = CloudFile, above: str = "") -> Iterator[Key]:
    """Every key, in the order of the models."""
    for name, field in section.model_fields.items():
        path = f"{above}.{name}" if above else name
        inner = section_of(field.annotation)
        described = field.annotation
        if inner is None and get_origin(described) is dict:
            inner = section_of(get_args(described)[1])
            path_below = f"{path}.<host>"
        else:
            path_below = path
        example = field.examples[0] if field.examples else None
        yield Key(path, field.description or "", example, inner is not None)
        if inner is not None:
            yield from walk(inner, path_below)


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _inner_of_container(annotation: Any) -> Any:
    """What a mapping's or list's entries are; None for anything else."""
    for part in _parts(annotation, containers=False):
        if get_origin(part) in (dict, list):
            return get_args(part)[-1]
    return None


def _parts(annotation: Any, *, containers: bool = True) -> Iterator[Any]:
    """The types in an annotation, inside `Annotated` and unions; with `containers`, inside lists too."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _parts(get_args(annotation)[0], containers=containers)
    elif origin in (Union, types.UnionType):
        for arm in get_args(annotation):
            yield from _parts(arm, containers=containers)
    elif origin is list and containers:
        yield from _parts(get_args(annotation)[0])
    elif origin is not Literal and annotation is not type(None):
        yield annotation
