"""The register of adaptations is true to the installed library, and complete: nothing else uses its private parts."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.metadata
import importlib.util
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import libp2p
import pytest

from betar_tui import p2p
from betar_tui.p2p.adaptations.register import REGISTER, VERSION, Adaptation

ROOM = Path(p2p.__file__).parent
TESTS = Path(__file__).parent
REGISTERED = {name for entry in REGISTER for name in entry.names}


@functools.cache
def names_of(kind: type) -> frozenset[str]:
    """The attributes that a class itself defines: in its body, in annotations, or by assignment to `self`."""
    names = set(vars(kind)) | set(vars(kind).get("__annotations__", ()))
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(kind)))):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
            names.add(node.attr)
    return frozenset(names)


@functools.cache
def library_names() -> frozenset[str]:
    """Every private name in the library's source."""
    sources = (path.read_text() for path in Path(libp2p.__file__).parent.rglob("*.py"))
    return frozenset(name for source in sources for name in re.findall(r"\b_[A-Za-z]\w*", source))


def bases_of(kind: type) -> list[type]:
    """The library's classes that `kind` inherits from, the nearest first."""
    return [base for base in kind.__mro__ if base.__module__.partition(".")[0] == "libp2p"]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _is_super(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


def _own_names(tree: ast.AST) -> set[str]:
    """Private names that a file defines for its own classes."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = {node.name for node in ast.walk(tree) if isinstance(node, functions)}
    return names | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_self(node.value)}


def uses(source: str, namespace: Mapping[str, Any]) -> Iterator[str]:
    """Uses of the library's private names in a file whose globals are `namespace`, each as "owner.name".

    Found are attribute access, `getattr` and its like, imports, uses in subclasses, and assignments to its modules.
    """
    tree = ast.parse(source)
    own = _own_names(tree) - library_names()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not _is_self(node.value) and not _is_super(node.value):
            if is_private(node.attr) and node.attr not in own:
                yield f"{ast.unparse(node.value)}.{node.attr}"
            target = namespace.get(node.value.id) if isinstance(node.value, ast.Name) else None
            if isinstance(node.ctx, ast.Store) and inspect.ismodule(target) and target.__name__.startswith("libp2p"):
                yield f"{target.__name__}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "libp2p":
            yield from (f"{node.module}.{each.name}" for each in node.names if is_private(each.name))
        elif isinstance(node, ast.Call) and "attr" in ast.unparse(node.func) and len(node.args) > 1:
            name = node.args[1]
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and is_private(name.value):
                yield f"{ast.unparse(node.args[0])}.{name.value}"
        elif isinstance(node, ast.ClassDef) and inspect.isclass(kind := namespace.get(node.name)):
            yield from (use for use in subclass_uses(node, kind) if is_private(use.rpartition(".")[2]))


def subclass_uses(node: ast.ClassDef, kind: type) -> Iterator[str]:
    """What a subclass of a library's class takes from it: private attributes used, attributes exchanged, overrides."""
    defined = [each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    for each in ast.walk(node):
        if (
            isinstance(each, ast.Attribute)
            and (_is_self(each.value) or _is_super(each.value))
            and (is_private(each.attr) or isinstance(each.ctx, ast.Store))
        ):
            defined.append(each.attr)
    for name in defined:
        for base in bases_of(kind):
            concrete = not getattr(vars(base).get(name), "__isabstractmethod__", False)
            if not name.startswith("__") and name in names_of(base) and concrete:
                yield f"{base.__module__}:{base.__qualname__}.{name}"
                break


def modules(inside: bool) -> dict[str, str]:
    """The modules of the room that are in the register's package, or those that are not, with their source."""
    found = {}
    for path in sorted(ROOM.rglob("*.py")):
        parts = path.relative_to(ROOM).with_suffix("").parts
        if (parts[0] == "adaptations") == inside:
            found[".".join(("betar_tui.p2p", *parts)).removesuffix(".__init__")] = path.read_text()
    return found


def test_the_registered_version_is_installed() -> None:
    assert importlib.metadata.version("libp2p") == VERSION
    assert {entry.version for entry in REGISTER} == {VERSION}


@pytest.mark.parametrize("entry", REGISTER, ids=lambda entry: f"{entry.owner} {entry.names[0]}")
def test_what_an_entry_names_exists(entry: Adaptation) -> None:
    module, _, kind = entry.owner.partition(":")
    owner = importlib.import_module(module)
    if kind:
        missing = set(entry.names) - frozenset().union(*map(names_of, bases_of(getattr(owner, kind))))
    else:
        missing = {name for name in entry.names if not hasattr(owner, name)}
    assert not missing
    assert importlib.util.find_spec(f"betar_tui.p2p.{entry.user}")
    assert entry.why.endswith(".")


def test_private_attributes_are_used_inside_the_register_alone() -> None:
    found = {}
    for name, source in modules(inside=False).items():
        if used := list(uses(source, vars(importlib.import_module(name)))):
            found[name] = used
    assert not found


def test_every_use_inside_the_register_is_registered() -> None:
    registered = {f"{entry.owner}.{name}" for entry in REGISTER for name in entry.names}
    unregistered = []
    for module, source in modules(inside=True).items():
        namespace = vars(importlib.import_module(module))
        unregistered += [use for use in uses(source, namespace) if use.rpartition(".")[2] not in REGISTERED]
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef) and inspect.isclass(kind := namespace.get(node.name)):
                unregistered += set(subclass_uses(node, kind)) - registered
    assert not unregistered


def test_tests_use_registered_private_attributes_only() -> None:
    room = "\n".join((*modules(inside=True).values(), *modules(inside=False).values()))
    own = set(re.findall(r"\b_[A-Za-z]\w*", room)) - REGISTERED
    for path in sorted(TESTS.glob("*.py")):
        if path != Path(__file__):
            used = {use.rpartition(".")[2] for use in uses(path.read_text(), {})}
            assert not (used & library_names()) - own - REGISTERED, path.name


SAMPLE = """
import libp2p.pubsub.pubsub
from libp2p.identity.identify.identify import _mk_identify_protobuf
from libp2p.network import swarm
from libp2p.pubsub.pubsub import Pubsub

swarm.SOMETHING = 1

class Mine(Pubsub):
    def __init__(self):
        self._mine = self._another_of_mine = 0

    def _handle_dead_peer(self, peer):
        super()._forget_all_subscriptions(peer)
        return self._is_msg_seen(self._mine)

def touch(pubsub, mine):
    mine._another_of_mine = pubsub.peers
    return pubsub._validate_msg, getattr(pubsub, "_validator", None)
"""


def test_the_search_finds_every_kind_of_use() -> None:
    namespace: dict[str, Any] = {}
    exec(SAMPLE, namespace)
    assert sorted(uses(SAMPLE, namespace)) == [
        "libp2p.identity.identify.identify._mk_identify_protobuf",
        "libp2p.network.swarm.SOMETHING",
        "libp2p.pubsub.pubsub:Pubsub._forget_all_subscriptions",
        "libp2p.pubsub.pubsub:Pubsub._handle_dead_peer",
        "libp2p.pubsub.pubsub:Pubsub._is_msg_seen",
        "pubsub._validate_msg",
        "pubsub._validator",
    ]
