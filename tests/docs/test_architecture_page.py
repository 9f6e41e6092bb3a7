"""The figures of docs/architecture.md are the constants of the code, and its rooms are those of the import contracts."""

import importlib
import re
import tomllib

import pytest

from tests.docs.pages import ROOT, text

PAGE = "docs/architecture.md"
UNITS = {"": 1.0, "KiB": 1 << 10, "MiB": 1 << 20, "s": 1.0, "ms": 0.001}
BOUND = re.compile(r"`([a-z_0-9.]+)\.(_?[A-Z][A-Z_0-9]*)` = ([\d,.]*\d)(?: (KiB|MiB|ms|s)\b)?")
BOUNDS = BOUND.findall(text(PAGE))


def test_the_bounds_are_found() -> None:
    assert len(BOUNDS) >= 30


@pytest.mark.parametrize(("module", "name", "figure", "unit"), BOUNDS, ids=[f"{m}.{n}" for m, n, *_ in BOUNDS])
def test_bound(module: str, name: str, figure: str, unit: str) -> None:
    constant = getattr(importlib.import_module(f"betar_tui.{module}"), name)
    assert constant == pytest.approx(float(figure.replace(",", "")) * UNITS[unit])


def exists(name: str) -> bool:
    """Whether a dotted name below betar_tui is a module, or something in one."""
    module, _, attribute = f"betar_tui.{name}".rpartition(".")
    try:
        return hasattr(importlib.import_module(module), attribute) or bool(
            importlib.import_module(f"{module}.{attribute}")
        )
    except ImportError:
        return False


def test_the_modules_that_the_page_names_exist() -> None:
    rooms = "tui|control|peer|market|store|sync|p2p|replica|ipld"
    names = set(re.findall(rf"`((?:{rooms})\.[a-z_.]*[a-z_])`", text(PAGE)))
    assert len(names) > 20
    assert [name for name in sorted(names) if not exists(name)] == []


def test_every_room_is_described() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    rooms = [module.strip().removeprefix("betar_tui.") for layer in layers for module in layer.split("|")]
    section = text(PAGE).partition("## Rooms")[2].partition("\n## ")[0]
    assert [room for room in rooms if f"`{room}" not in section] == []
