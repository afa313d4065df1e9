"""The services under `options` are those whose options the build reads: no more, no fewer."""

from __future__ import annotations

import ast
from pathlib import Path

import stockade.build.services
from stockade.cloud.services import SERVICES

FOLDER = Path(stockade.build.services.__file__).parent


def asked_for() -> set[str]:
    """First arguments of `context.ini("nova", ...)` and `context.overrides("nova")` in the service files."""
    found = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("ini", "overrides")
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                found.add(str(node.args[0].value))
    return found


def test_services_take_the_options_the_cloud_file_may_give() -> None:
    assert set(SERVICES) == asked_for(), "change src/stockade/cloud/services.py"
    assert list(SERVICES) == sorted(SERVICES)
