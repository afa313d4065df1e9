"""The services, one file each: every `Service` that a module of this package defines is part of the build."""

import importlib
import pkgutil

from stockade.build.model import Service


def _defined() -> tuple[Service, ...]:
    modules = (importlib.import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__))
    found = {value.name: value for module in modules for value in vars(module).values() if isinstance(value, Service)}
    return tuple(found[name] for name in sorted(found))


SERVICES: tuple[Service, ...] = _defined()
