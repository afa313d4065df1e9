"""From a cloud file to a `Cloud`, or to every problem there is with it."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from stockade.cloud import document, resolve, rules
from stockade.cloud.document import Document, Wrong
from stockade.cloud.errors import CloudFileError, Problem
from stockade.cloud.fit import shaped
from stockade.cloud.model import Cloud
from stockade.cloud.tls import tls_wrongs


def load(path: Path | str) -> Cloud:
    """The cloud that the file at `path` describes. Raises `CloudFileError` with all that is wrong."""
    path = Path(path)
    name = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _unread(name, "there is no such file", "name a cloud file, or set STOCKADE_CLOUD") from None
    except UnicodeDecodeError as error:
        raise _unread(name, f"is not UTF-8 text (byte {error.start + 1})", "save it as UTF-8") from None
    except OSError as error:
        raise _unread(name, f"cannot be read: {error.strerror}", "look at its kind and permissions") from None
    return parse(text, path)


def parse(text: str, source: Path | str | None = None) -> Cloud:
    """The cloud that `text` describes; `source` names it in errors and anchors its relative paths.

    Raises `CloudFileError` with all that is wrong, and nothing else.
    """
    path = Path(source) if source else None
    name = str(source or "cloud file")
    doc = document.read(text)
    if doc.data is None:
        raise CloudFileError(_problems(name, doc, doc.wrongs))
    shape = shaped(doc.data)
    wrongs = [*doc.wrongs, *shape.wrongs]
    if shape.file is None:
        raise CloudFileError(_problems(name, doc, wrongs))
    draft = resolve.draft(shape.file)
    directory = (path.absolute().parent if path else Path.cwd()).resolve()
    place = resolve.Place(path, directory, Path.home())
    unknown = shape.unknown | {wrong.path for wrong in doc.wrongs}
    wrongs += rules.judge(draft, unknown)
    wrongs += tls_wrongs(shape.file.tls, place)
    if wrongs:
        raise CloudFileError(_problems(name, doc, wrongs))
    return resolve.finish(draft, place)


def default_cloud_path() -> Path:
    """The cloud file meant when none is named: $STOCKADE_CLOUD, else ./cloud.yaml, else the packaged lab."""
    named = os.environ.get("STOCKADE_CLOUD")
    if named:
        return Path(named)
    here = Path("cloud.yaml")
    return here if here.exists() else lab_example()


def lab_example() -> Path:
    """The packaged lab cloud."""
    return Path(str(files("stockade.cloud") / "examples" / "lab.yaml"))


def _unread(name: str, what: str, fix: str) -> CloudFileError:
    return CloudFileError((Problem(name, 0, "", what, fix),))


def _problems(name: str, doc: Document, wrongs: list[Wrong] | tuple[Wrong, ...]) -> tuple[Problem, ...]:
    return tuple(
        Problem(name, wrong.line or doc.line(wrong.path), dotted(wrong.path), wrong.what, wrong.fix) for wrong in wrongs
    )


def dotted(path: document.Path) -> str:
    """`path` as an operator reads it; positions in lists are left out, the line and the value say which."""
    return ".".join(part for part in path if isinstance(part, str))
