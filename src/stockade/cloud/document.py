"""YAML text to plain values, remembering the line of every key.

The node tree of ruamel.yaml is used rather than its loaded values: it has a line for every key, shows
*every* duplicate key instead of stopping at the first, and gives no meaning to tags and dates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from stockade.cloud.syntax import meaning

Path = tuple[str | int, ...]
"""Where a value stands: keys and list positions from the top."""

MAX_CHARS = 4 * 1024 * 1024
"""A thousand hosts with everything spelled out are about half a megabyte."""
MAX_DEPTH = 20
"""The file's own shape is five deep; the rest is room for mistakes."""
MAX_VALUES = 200_000
"""Values counted after YAML aliases are followed, so that ten lines cannot mean ten million values."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A problem that knows its place in the document; `stockade.cloud.load` gives it a file and a line."""

    path: Path
    what: str
    fix: str
    line: int = 0
    """0: the line of `path`."""


@dataclass(frozen=True, slots=True)
class Document:
    """What the text says, where each key says it, and what is wrong with it as YAML."""

    data: object
    lines: Mapping[Path, int] = field(default_factory=dict)
    wrongs: tuple[Wrong, ...] = ()

    def line(self, path: Path) -> int:
        """Line of the key at `path`, or of the nearest one above it that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class _TooMuchError(Exception):
    """The tree is deeper or bigger than any cloud file."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.line = line


def read(text: str) -> Document:
    """The document in `text`. Never raises: what cannot be read comes back as `wrongs`, with `data` None."""
    refused = _unreadable(text)
    if refused:
        return Document(None, wrongs=(refused,))
    tree = _Tree()
    try:
        root = YAML(typ="rt", pure=True).compose(text)
        data = None if root is None else tree.value(root, ())
    except MarkedYAMLError as error:
        return Document(None, wrongs=(_syntax(error, text),))
    except _TooMuchError as error:
        return Document(None, wrongs=(Wrong((), str(error), _COMPARE, error.line),))
    except RecursionError:
        return Document(None, wrongs=(Wrong((), "the file is nested too deeply", _COMPARE, 1),))
    except (YAMLError, ValueError, AttributeError, AssertionError, NotImplementedError):
        # what ruamel.yaml raises, besides its own errors, on control characters and odd directives
        return Document(None, wrongs=(Wrong((), "the file is not YAML", _COMPARE, 1),))
    if data is None and not tree.wrongs:
        return Document(None, wrongs=(_EMPTY,))
    return Document(data, tree.lines, tuple(tree.wrongs))


_COMPARE = "compare it with the examples"
_EMPTY = Wrong((), "the file is empty", "start from one of the examples in the guide to the cloud file", 1)


def _unreadable(text: str) -> Wrong | None:
    if len(text) > MAX_CHARS:
        return Wrong((), f"the file is longer than {MAX_CHARS} characters", "is this the cloud file?", 1)
    for number, line in enumerate(text.splitlines(), 1):
        indent = line[: len(line) - len(line.lstrip())]
        if "\t" in indent and line.strip():
            return Wrong((), "a tab indents this line", "indent with spaces; YAML allows no tabs there", number)
    return None


def _syntax(error: MarkedYAMLError, text: str) -> Wrong:
    what, fix, line = meaning(error)
    return Wrong((), f"not YAML: {what}", fix, min(line, max(1, len(text.splitlines()))))


@dataclass(slots=True)
class _Tree:
    """Walks the nodes once."""

    lines: dict[Path, int] = field(default_factory=dict)
    wrongs: list[Wrong] = field(default_factory=list)
    count: int = 0

    def value(self, node: Node, path: Path) -> object:
        self.count += 1
        if self.count > MAX_VALUES:
            raise _TooMuchError(f"the file holds more than {MAX_VALUES} values", _line(node))
        if len(path) > MAX_DEPTH:
            raise _TooMuchError(f"the file is nested more than {MAX_DEPTH} deep", _line(node))
        self.lines.setdefault(path, _line(node))
        match node:
            case MappingNode():
                return self.mapping(node, path)
            case SequenceNode():
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            case ScalarNode():
                return _scalar(node)
            case _:
                raise _TooMuchError("the file holds something that is not YAML", _line(node))

    def mapping(self, node: MappingNode, path: Path) -> dict[str, object]:
        merged = self.merged(node, path)
        own: dict[str, object] = {}
        for key_node, value_node in node.value:
            key, line = _key(key_node), _line(key_node)
            if key == _MERGE:
                continue
            here = (*path, key or "")
            if key is None:
                self.wrongs.append(Wrong(path, "a key is not a word", "write `name: value`", line))
            elif key in own:
                what = f"stands here a second time, first on line {self.lines[here]}"
                self.wrongs.append(Wrong(here, what, "keep one of the two", line))
            else:
                if key in merged:
                    self.forget(here)
                self.lines[here] = line
                own[key] = self.value(value_node, here)
        return merged | own

    def merged(self, node: MappingNode, path: Path) -> dict[str, object]:
        """What `<<` keys add to a mapping, unless it has the same key itself; earlier ones win."""
        result: dict[str, object] = {}
        for key_node, value_node in node.value:
            if _key(key_node) != _MERGE:
                continue
            sources = value_node.value if isinstance(value_node, SequenceNode) else [value_node]
            for source in reversed(sources):
                if isinstance(source, MappingNode):
                    result |= self.mapping(source, path)
                else:
                    fix = "write `<<: *name`, with &name before a mapping above it"
                    self.wrongs.append(Wrong((*path, _MERGE), "merges what is no mapping", fix, _line(key_node)))
        return result

    def forget(self, path: Path) -> None:
        """Drop the lines of a merged value that the mapping's own replaces."""
        for known in [known for known in self.lines if known[: len(path)] == path]:
            del self.lines[known]


_MERGE = "<<"


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1 if node.start_mark else 1


_MAX_KEY_CHARS = 128
"""Twice the longest host name; what is longer is text that slipped to the left of a colon."""


def _key(node: Node) -> str | None:
    """The text of a key; None if it is not fit to be one."""
    text = str(node.value) if isinstance(node, ScalarNode) else ""
    return text if text.strip() and text.isprintable() and len(text) <= _MAX_KEY_CHARS else None


_INTEGERS = (
    (re.compile(r"[-+]?(0|[1-9][0-9]*)"), 10),
    (re.compile(r"0x[0-9a-fA-F]+"), 16),
    (re.compile(r"0o[0-7]+"), 8),
)
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+")
_MAX_DIGITS = 30
"""Longer runs of digits are text: no number here is near that, and converting them takes quadratic time."""
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def _scalar(node: ScalarNode) -> object:
    """A plain scalar by the core schema of YAML 1.2; anything quoted, or of another look, is text."""
    text = str(node.value)
    if node.style in ("'", '"', "|", ">"):
        return text
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _MAX_DIGITS:
        return text
    for pattern, base in _INTEGERS:
        if pattern.fullmatch(text):
            return int(text, base)
    return float(text) if _FLOAT.fullmatch(text) else text
