"""The cloud's secrets: generated once, kept in one file of mode 0600, never printed.

The file is all that must be backed up to rebuild the same cloud (see docs/guides/secrets.md).
"""

from __future__ import annotations

import base64
import json
import secrets
import string
import struct
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from stockade.errors import StockadeError
from stockade.files import write_whole

_ALPHABET = string.ascii_letters + string.digits
PASSWORD_LENGTH = 32


class Secrets:
    """Named secrets; asking for one that does not exist makes it. `save` writes what was made."""

    def __init__(self, values: dict[str, str] | None = None, path: Path | None = None) -> None:
        self._values = dict(values or {})
        self._path = path
        self._saved = dict(self._values)
        self.fresh = not self._values
        """True if there were none before: this cloud has never been built from here."""

    @classmethod
    def load(cls, path: Path) -> Secrets:
        """The secrets kept at `path`; none yet if there is no file.

        Raises StockadeError if it is open to others.
        """
        if not path.exists():
            return cls(path=path)
        if path.stat().st_mode & 0o077:
            raise StockadeError(f"{path} can be read by others; `chmod 600 {path}`, and consider its secrets known")
        return cls(json.loads(path.read_text()), path)

    def save(self) -> None:
        """Write the file, atomically and only if something was added."""
        if self._path is None or self._values == self._saved:
            return
        write_whole(self._path, json.dumps(self._values, indent=1, sort_keys=True), 0o600)
        self._saved = dict(self._values)

    def password(self, name: str) -> str:
        """A password of letters and digits (safe in URLs and every configuration syntax)."""
        return self._get(name, lambda: "".join(secrets.choice(_ALPHABET) for _ in range(PASSWORD_LENGTH)))

    def uuid(self, name: str) -> str:
        """A random UUID."""
        return self._get(name, lambda: str(uuid.uuid4()))

    def fernet_key(self, name: str) -> str:
        """A Fernet key, URL-safe base64 of 32 bytes."""
        return self._get(name, lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())

    def ceph_key(self, name: str) -> str:
        """A cephx key: type 1, creation time, length and 16 random bytes, in base64 (Ceph's CryptoKey encoding)."""

        def make() -> str:
            header = struct.pack("<hiih", 1, int(time.time()), 0, 16)
            return base64.b64encode(header + secrets.token_bytes(16)).decode()

        return self._get(name, make)

    def text(self, name: str) -> str | None:
        """The secret called `name` if it exists (certificates are put with `put`)."""
        return self._values.get(name)

    def put(self, name: str, value: str) -> None:
        """Keep `value` as `name`."""
        self._values[name] = value

    def _get(self, name: str, make: Callable[[], str]) -> str:
        """The value called `name`. Names are unique over all kinds: a UUID and a key never share one."""
        if name not in self._values:
            self._values[name] = make()
        return self._values[name]
