"""Every file the build writes for one controller and one compute of each packaged cloud, as it is written.

`listing.txt` of a host says what belongs to whom, what runs, what may never run, and what is asked of it.
STOCKADE_UPDATE_GOLDEN=1 writes them anew; look at the difference.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from cryptography import x509

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from build_world import files_of, rendered

from stockade.build.model import Bundle
from stockade.build.services.base import LIBRARY

HERE = Path(__file__).parent / "services"
UPDATE = os.environ.get("STOCKADE_UPDATE_GOLDEN") == "1"
HOSTS = [(cloud, host) for cloud in ("lab", "servers") for host in ("ctl1", "cmp1")]
PEM = re.compile(r"-----BEGIN (CERTIFICATE|PRIVATE KEY)-----\n.*?-----END \1-----\n", re.DOTALL)


def named(found: re.Match[str]) -> str:
    """A certificate by whom it is for and who signed it; a key, which differs every time, by its kind."""
    if found[1] == "PRIVATE KEY":
        return "<private key>\n"
    certificate = x509.load_pem_x509_certificate(found[0].encode())
    names = []
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            names = [str(name.value) for name in extension.value]
    subject, issuer = certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()
    return f"<certificate of {subject} for {' '.join(names) or 'signing'}, signed by {issuer}>\n"


def listing(bundle: Bundle) -> str:
    """What is not in the files."""
    lines = []
    for stage in bundle.stages:
        lines.append(f"== {stage.service}")
        lines += [f"package    {name}" for name in stage.packages]
        lines += [f"directory  {each.owner}:{each.group} {each.mode:04o} {each.path}" for each in stage.directories]
        for file in stage.files:
            if not file.path.startswith(LIBRARY):
                secret = " secret" if file.secret else ""
                lines.append(f"file       {file.owner}:{file.group} {file.mode:04o} {file.path}{secret}")
        lines += [f"before     {each.name} ({each.program})" for each in stage.before_start]
        for unit in stage.units:
            drained = f", drains {unit.backend}" if unit.backend else ""
            lines.append(f"unit       {unit.name}, by {unit.start}{', once' if unit.oneshot else ''}{drained}")
        lines += [f"after      {each.name} ({each.program})" for each in stage.resources]
        lines += [f"check      {each.name} ({each.kind}), {each.timeout_s:g} s" for each in stage.checks]
    return "\n".join([*lines, "== never", *bundle.masked]) + "\n"


@pytest.mark.parametrize(("cloud", "host"), HOSTS)
def test_files(cloud: str, host: str) -> None:
    bundle = rendered(cloud)[host]
    written = {
        path.lstrip("/"): PEM.sub(named, file.content)
        for path, file in files_of(bundle).items()
        if not path.startswith(LIBRARY)
    }
    written["listing.txt"] = listing(bundle)
    folder = HERE / cloud / host
    if UPDATE:
        shutil.rmtree(folder, ignore_errors=True)
        for path, text in written.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    kept = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert kept.keys() == written.keys(), "run again with STOCKADE_UPDATE_GOLDEN=1, and look at what it wrote"
    for path, text in written.items():
        assert text == kept[path], path


def test_the_agents_code_is_what_this_package_has() -> None:
    files = files_of(rendered("lab")["cmp1"])
    code = {path.removeprefix(f"{LIBRARY}/"): file.content for path, file in files.items() if path.startswith(LIBRARY)}
    source = Path(sys.modules["stockade"].__file__ or "").parent
    modules = {f"stockade/agent/{path.name}": path.read_text() for path in (source / "agent").glob("*.py")}
    assert code == modules | {"stockade/__init__.py": ""}
