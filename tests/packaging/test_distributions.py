"""The wheel and the source archive: what they hold, and that they can be installed and used."""

from __future__ import annotations

import tarfile
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

import pytest

from betar_tui import __version__
from tests.packaging.built import NOT_COPIED, ROOT, Built, environment, run

CARRIED = "betar_tui/p2p/carried/"


def metadata(wheel: Path) -> tuple[Message, Message]:
    """What a wheel says of its project and of itself."""
    with zipfile.ZipFile(wheel) as archive:
        folder = f"betar_tui-{__version__}.dist-info"
        read = (BytesParser().parsebytes(archive.read(f"{folder}/{name}")) for name in ("METADATA", "WHEEL"))
        return next(read), next(read)


def test_the_wheel_is_for_every_machine_and_asks_for_no_compiler(built: Built) -> None:
    about, wheel = metadata(built.wheel)
    assert wheel.get_all("Tag") == ["py3-none-any"]
    assert about["Requires-Python"] == ">=3.11"
    asked = about.get_all("Requires-Dist", [])
    assert any(each.startswith("cryptography>=") for each in asked)
    assert not [each for each in asked if each.startswith(("libp2p", "coincurve", "fastecdsa", "grpcio"))]
    assert [each for each in asked if each.startswith("miniupnpc")] == ['miniupnpc<3,>=2.3; extra == "upnp"']


def test_the_metadata_says_who_made_it_and_under_which_licence(built: Built) -> None:
    about, _ = metadata(built.wheel)
    assert about["Author"] == "The betar-tui authors"
    assert about["License-Expression"] == "MIT AND Apache-2.0"
    assert about.get_all("License-File") == ["LICENSE"]
    assert {each.partition(",")[0] for each in about.get_all("Project-URL", [])} == {
        "Repository",
        "Changelog",
        "Issues",
    }
    classifiers = about.get_all("Classifier", [])
    assert "Operating System :: MacOS" in classifiers
    assert "Programming Language :: Python :: 3.14" in classifiers


def test_the_wheel_carries_the_library_with_its_licences(built: Built) -> None:
    names = set(zipfile.ZipFile(built.wheel).namelist())
    about = f"{CARRIED}libp2p-0.8.1.dist-info/"
    assert {f"{CARRIED}libp2p/__init__.py", f"{about}METADATA"} <= names
    assert {f"{about}licenses/LICENSE-APACHE", f"{about}licenses/LICENSE-MIT"} <= names
    assert {f"betar_tui-{__version__}.dist-info/licenses/LICENSE", "betar_tui/py.typed"} <= names
    assert "betar_tui/tui/betar.tcss" in names
    assert {name.partition("/")[0] for name in names} == {"betar_tui", f"betar_tui-{__version__}.dist-info"}


def test_the_source_archive_holds_what_a_checkout_does(built: Built) -> None:
    with tarfile.open(built.archive) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    left_out = [
        name
        for path in ROOT.rglob("*")
        if path.is_file() and (name := str(path.relative_to(ROOT))) not in held and _is_source(path.relative_to(ROOT))
    ]
    assert left_out == []


def _is_source(path: Path) -> bool:
    """Whether a file is part of the repository, and not something that a tool has left."""
    generated = {".git", ".coverage", "snapshot_report.html", "htmlcov"}
    return not any(NOT_COPIED("", [part]) or part in generated or part.endswith(".pyc") for part in path.parts)


FINDS = "import betar_tui.p2p.network, libp2p; print(libp2p.__version__, libp2p.__file__)"


def test_the_wheel_uses_its_own_library_even_where_another_is_installed(built: Built, tmp_path: Path) -> None:
    binaries = environment(tmp_path / "new", others=True)
    run(binaries / "pip", "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", built.wheel)
    version, file = run(binaries / "python", "-c", FINDS, cwd=tmp_path).split()
    assert version == "0.8.1"
    assert Path(file).is_relative_to(tmp_path / "new")


@pytest.mark.timeout(300)
def test_the_wheel_installs_and_runs_without_a_compiler(built: Built, tmp_path: Path) -> None:
    binaries = environment(tmp_path / "new", others=False)
    run(binaries / "pip", "install", "--quiet", built.wheel)
    assert run(binaries / "betar-tui", "--version", cwd=tmp_path) == f"betar-tui {__version__}\n"
    assert run(binaries / "python", "-c", FINDS, cwd=tmp_path).startswith("0.8.1 ")
    data = ("--data-dir", tmp_path / "data")
    run(binaries / "betar-tui", *data, "publish", "--name", "swift-ocr", "--price", "0.05", cwd=tmp_path)
    assert "swift-ocr" in run(binaries / "betar-tui", *data, "list", cwd=tmp_path)
