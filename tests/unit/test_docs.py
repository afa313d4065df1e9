"""The documentation is true where a program can tell: files, commands, links, and how it is worded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import stockade
from stockade.cli.main import cli

SOURCES = Path(stockade.__file__).parent
ROOT = SOURCES.parent.parent
README = ROOT / "README.md"
PAGES = (README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
COMMAND_PAGES = (README, *sorted((ROOT / "docs" / "guides").glob("*.md")))
"""Pages that tell people what to type. Pages of design may also name what is to come."""

FORBIDDEN_WORDS = (
    "amazing", "awesome", "best-in-class", "blazing", "bulletproof", "cutting-edge", "effortless", "effortlessly",
    "enterprise-grade", "game-changing", "leverage", "leverages", "lightning-fast", "next-generation", "powerful",
    "revolutionary", "robust", "seamless", "seamlessly", "state-of-the-art", "unparalleled", "world-class",
    "FIXME", "TBD", "TODO", "XXX",
)  # fmt: skip
"""What says nothing, and what is not finished."""
FOLDERS = frozenset({"boot", "dev", "etc", "proc", "redfish", "root", "run", "sys", "tmp", "usr", "var"})
"""Where an absolute path may begin: on a Debian host. Nobody else has the folders of whoever wrote a page."""
EXAMPLE_PATHS = frozenset({"/path/to/stockade/cloud/schema.json", "/stockade/"})
"""A reader's own, and keys of etcd."""
EXAMPLE_HOSTS = re.compile(r"[\w.-]*example\.(com|net|org)|localhost|[0-9.]+|<[^>]+>")
"""Documentation's own names and addresses."""
PICTURES = re.compile("[\U0001f000-\U0001ffff\u2600-\u27bf\ufe0f]")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def source_files() -> set[str]:
    files = (path for path in SOURCES.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in files if path.read_bytes().strip()}


def described() -> dict[str, str]:
    """Path of each file in the list, and its sentence."""
    found: dict[str, str] = {}
    folder = ""
    for line in (ROOT / "docs" / "whats-here.md").read_text().splitlines():
        if heading := re.fullmatch(r"## `(.+)`", line):
            folder = heading[1]
        elif line.startswith("## "):
            folder = ""
        elif folder.startswith("src/") and (entry := re.fullmatch(r"- `([^`]+)`: (.+)", line)):
            assert f"{folder}/{entry[1]}" not in found, f"{entry[1]} is described twice"
            found[f"{folder}/{entry[1]}"] = entry[2]
    return found


def test_every_source_file_has_a_sentence_and_no_other() -> None:
    known, present = set(described()), source_files()
    assert not present - known, "add a sentence to docs/whats-here.md"
    assert not known - present, "these are gone; take them out of docs/whats-here.md"


def test_sentences_are_sentences() -> None:
    short = {path for path, text in described().items() if not re.search(r"[.?]$", text) or len(text.split()) < 3}
    assert not short


def test_every_folder_of_tests_is_described() -> None:
    text = (ROOT / "docs" / "whats-here.md").read_text()
    part = text.partition("## `tests`")[2].partition("\n## ")[0]
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert set(re.findall(r"^- `([^`]+)`", part, re.MULTILINE)) == folders


def code(page: Path) -> Iterator[str]:
    """Lines of code blocks, and code within lines."""
    text = page.read_text()
    for block in re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("page", COMMAND_PAGES, ids=name)
def test_commands_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in code(page):
        for target in re.findall(r"^\s*make ([a-z-]+)", line):
            assert target in targets, line
        for command, rest in re.findall(r"(?:^|[\s(/])stockade ([a-z][a-z-]*)\b(.*)", line):
            assert command in cli.commands, line
            options(cli.commands[command], rest, line)


def options(command: click.Command, rest: str, line: str) -> None:
    if command.context_settings.get("ignore_unknown_options"):
        return  # what follows belongs to another program
    if isinstance(command, click.Group) and (below := re.match(r"\s+([a-z][a-z-]*)(.*)", rest)):
        assert below[1] in command.commands, line
        options(command.commands[below[1]], below[2], line)
        return
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest.partition("#")[0].partition(" -- ")[0]):
        assert option in known, line


def test_the_readme_names_every_command() -> None:
    text = README.read_text()
    missing = {command for command in cli.commands if not re.search(rf"`?stockade {command}\b|`{command}`", text)}
    assert missing <= {"demo"}, missing  # `make demo` runs it


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{name(page)}: {target}"
        assert found.is_relative_to(ROOT), f"{name(page)}: {target} leads out of the repository"
        if anchor:
            assert anchor in anchors(found), f"{name(page)}: {target} has no such heading"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_forbidden_words(page: Path) -> None:
    text = page.read_text()
    for word in FORBIDDEN_WORDS:
        flags = 0 if word.isupper() else re.IGNORECASE
        assert not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text, flags), word
    assert not PICTURES.search(text)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_paths_and_hosts_are_a_readers(page: Path) -> None:
    text = page.read_text()
    for path in re.findall(r"(?<![\w.:/<>*)~-])(/[\w.-]+(?:/[\w.<>*@-]*)+)", text):
        assert path.split("/")[1] in FOLDERS or path in EXAMPLE_PATHS, f"{name(page)}: {path}"
    for host in re.findall(r"https?://([^/\s:)\"'`}]+)", text):
        assert EXAMPLE_HOSTS.fullmatch(host), f"{name(page)}: {host}"


def test_the_smallest_service_is_as_the_readme_shows_it() -> None:
    services = SOURCES / "build" / "services"
    text, readme = (services / "memcached.py").read_text(), README.read_text()
    example = re.findall(r"```python\n(SERVICE = .*?)```", readme, re.DOTALL)
    assert len(example) == 1
    assert example[0] in text
    lines = len(text.splitlines())
    for page in (README, ROOT / "docs" / "design" / "build.md"):
        said = re.search(r"`(?:services/)?memcached\.py`,\s+(?:has )?(\d+) lines", page.read_text())
        assert said, name(page)
        assert int(said[1]) == lines, name(page)
    sizes = {path.name: len(path.read_text().splitlines()) for path in services.glob("*.py")}
    assert all(lines <= size for file, size in sizes.items() if file not in ("__init__.py", "memcached.py"))


def test_version_is_the_changelogs() -> None:
    assert f"## {stockade.__version__}" in (ROOT / "CHANGELOG.md").read_text()
