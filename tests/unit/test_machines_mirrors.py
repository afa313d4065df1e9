"""The golden image comes from wherever this computer gets its own packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from stockade.machines.lab.mirrors import Mirrors, choose, parse_deb822, parse_one_line, read

DEB822 = """\
Types: deb
# a comment, as the installer of some images leaves it
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""

ONE_LINE = """\
# deb http://commented.test/debian trixie main
deb-src http://sources.test/debian trixie main
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] https://a.test/debian/ trixie main # end
deb https://a.test/debian/ trixie-updates main
deb https://s.test/debian-security trixie-security main
"""

FOREIGN = """\
deb [signed-by=/etc/apt/keyrings/vendor.gpg] https://vendor.test/debian bookworm main
deb https://vendor.test/apt nodistro main
deb https://vendor.test/apt bookworm stable
deb cdrom:[Debian GNU/Linux 13]/ trixie main
"""


def test_deb822_sources() -> None:
    assert choose(parse_deb822(DEB822)) == Mirrors("http://mirror.test/debian", "http://mirror.test/debian-security")


def test_one_line_sources() -> None:
    assert choose(parse_one_line(ONE_LINE)) == Mirrors("https://a.test/debian/", "https://s.test/debian-security")


def test_other_vendors_and_unreachable_media_are_passed_over() -> None:
    assert choose(parse_one_line(FOREIGN)) == Mirrors()


def test_disabled_stanzas_and_folded_fields() -> None:
    disabled = "Types: deb\nURIs: http://off.test/debian\nSuites: trixie\nComponents: main\nEnabled: no\n\n"
    folded = "Types: deb\nURIs:\n http://on.test/debian\nSuites: trixie\nComponents: main\n"
    assert choose(parse_deb822(disabled + folded)) == Mirrors("http://on.test/debian")


@pytest.mark.parametrize(
    ("mirrors", "lines"),
    [
        (Mirrors(), ()),
        (Mirrors("http://m"), ("deb http://m trixie main", "deb http://m trixie-updates main")),
        (
            Mirrors("http://m", "http://s"),
            ("deb http://m trixie main", "deb http://m trixie-updates main", "deb http://s trixie-security main"),
        ),
    ],
)
def test_lines_for_the_image(mirrors: Mirrors, lines: tuple[str, ...]) -> None:
    assert mirrors.lines("trixie") == lines


def test_settings_of_a_computer(tmp_path: Path) -> None:
    assert read(tmp_path) == Mirrors()
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / "debian.sources").write_text(DEB822)
    (parts / "vendor.list").write_text(FOREIGN)
    assert read(tmp_path) == Mirrors("http://mirror.test/debian", "http://mirror.test/debian-security")
    (tmp_path / "sources.list").write_text(ONE_LINE)
    assert read(tmp_path).main == "https://a.test/debian/"
