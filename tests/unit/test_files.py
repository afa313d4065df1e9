"""A file of ours is never seen half-written, and keeps its mode."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stockade.build import certificates
from stockade.build.clients import admin_auth, ca_path
from stockade.build.secrets import Secrets
from stockade.cloud import paths
from stockade.cloud.load import lab_example, load
from stockade.files import write_whole


def test_content_and_mode_are_as_given_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file"
    write_whole(file, "old")
    write_whole(file, b"new", 0o600)
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o077 == 0
    assert list(file.parent.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    write_whole(file, "old")

    def full(_descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_the_ca_is_whole_while_others_ask_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that loaded it in between got an SSL error once in a hundred requests."""
    monkeypatch.setattr(paths, "STATE_ROOT", tmp_path)
    cloud = load(lab_example())
    secrets = Secrets.load(paths.state_dir(cloud.name) / "secrets.json")
    secrets.password("keystone.admin")
    authority = certificates.authority(secrets, cloud.name)
    secrets.save()
    admin_auth(cloud)
    sizes: set[int] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            sizes.add(len(ca_path(cloud).read_text()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(200):
        admin_auth(cloud)
    stop.set()
    watcher.join()
    assert sizes == {len(authority)}
