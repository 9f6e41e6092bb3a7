"""The import graph of betar_tui, lazy and type-checking imports included, has no circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import betar_tui

ROOT = Path(betar_tui.__file__).parent


def module_name(path: Path) -> str:
    """The dotted name of a source file."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph(sources: dict[str, str]) -> dict[str, set[str]]:
    """Imports by module name. A name that is a module of its own counts as that module, not as its package."""
    graph: dict[str, set[str]] = {}
    for name, text in sources.items():
        imports = graph.setdefault(name, set())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                imports.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    imports.add(full if full in sources else node.module)
    return {name: {each for each in imports if each in sources} for name, imports in graph.items()}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one circle, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    sources = {module_name(path): path.read_text() for path in ROOT.rglob("*.py")}
    assert len(sources) > 150
    assert circle(import_graph(sources)) == []


@pytest.mark.parametrize(
    "back",
    [
        "import a",
        "from a import x",
        "def f():\n    from a import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a import x",
    ],
)
def test_a_circle_is_found_however_it_is_closed(back: str) -> None:
    assert set(circle(import_graph({"a": "from b import y", "b": back, "c": "import a"}))) == {"a", "b"}
