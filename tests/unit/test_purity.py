"""Decisions take values and return values: no clock, randomness, environment, network or waiting.

A module named here may import only modules named here, of Stockade's own. To hold another room to it, add
its modules.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import stockade

SOURCES = Path(stockade.__file__).parent

PURE = (
    "errors.py",
    "agent/election.py",
    "agent/rotation.py",
    "build/context.py",
    "build/ini.py",
    "build/model.py",
    "build/plan.py",
    "build/render.py",
    "build/report.py",
    "build/services/*.py",
    "build/uwsgi.py",
    "cloud/check.py",
    "cloud/document.py",
    "cloud/errors.py",
    "cloud/explain.py",
    "cloud/fields.py",
    "cloud/file.py",
    "cloud/file_hosts.py",
    "cloud/file_networks.py",
    "cloud/fit.py",
    "cloud/model.py",
    "cloud/paths.py",
    "cloud/resolve.py",
    "cloud/rules/*.py",
    "cloud/scalars.py",
    "cloud/schema.py",
    "cloud/section.py",
    "cloud/services.py",
    "cloud/syntax.py",
    "cloud/timers.py",
    "drill/checkers/*.py",
    "drill/history.py",
    "drill/judge.py",
    "drill/metrics.py",
    "drill/report/*.py",
    "drill/scenario.py",
    "drill/statistics.py",
    "drill/verdict.py",
)
"""Files or patterns below the package."""

HANDED_IN = frozenset({"build/certificates.py", "build/secrets.py"})
"""Made at random or dated, once, and then kept: the same secrets give the same bundles. Whoever renders hands
them in, so pure modules may know their types."""

EXCEPTIONS = {
    "build/services/__init__.py": frozenset({"importlib", "pkgutil"}),
    "build/services/base.py": frozenset({"importlib", "read_text"}),
    "build/services/haproxy.py": frozenset({"read_text"}),
}
"""What a pure module may do all the same: find the modules beside it, read the package's own source, and read the
operator's certificate, which is as much a part of the cloud file as if it stood in it."""

FORBIDDEN = frozenset(
    {
        "asyncio",
        "asyncssh",
        "concurrent",
        "datetime",
        "getpass",
        "glob",
        "httpx",
        "importlib",
        "logging",
        "multiprocessing",
        "os",
        "pkgutil",
        "platform",
        "random",
        "secrets",
        "shutil",
        "signal",
        "socket",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
        "uuid",
    }
)
"""Modules by which the world comes in."""

CALLS = frozenset(
    {"cwd", "exists", "expanduser", "home", "input", "is_file", "open", "print", "read_text", "write_text"}
)
"""Functions and methods (of `Path`, mostly) by which it comes in without an import."""


def pure_files() -> list[Path]:
    return sorted(path for pattern in PURE for path in SOURCES.glob(pattern))


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            module = node.module or ""
            for name in (f"{module}.{alias.name}" for alias in node.names):
                yield name if _is_module(name) else module


def _file(module: str) -> Path:
    path = SOURCES.parent / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _is_module(name: str) -> bool:
    return name.startswith("stockade.") and _file(name).exists()


def test_every_pattern_matches() -> None:
    for pattern in (*PURE, *HANDED_IN, *EXCEPTIONS):
        assert list(SOURCES.glob(pattern)), pattern


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: str(path.relative_to(SOURCES)))
def test_pure(path: Path) -> None:
    tree = ast.parse(path.read_text())
    pure = set(pure_files()) | {SOURCES / name for name in HANDED_IN}
    excepted = EXCEPTIONS.get(str(path.relative_to(SOURCES)), frozenset())
    for name in imports(tree):
        assert name.split(".")[0] not in FORBIDDEN - excepted, f"imports {name}"
        if name.startswith("stockade."):
            assert _file(name) in pure, f"imports {name}, which is not pure"
    for node in ast.walk(tree):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await), "waits"
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            assert name not in CALLS - excepted, f"calls {name}() on line {node.lineno}"
