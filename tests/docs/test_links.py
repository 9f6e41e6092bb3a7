"""Every link of the pages, and every reference of the code to a page, leads somewhere."""

import re
from collections.abc import Iterator

import pytest

from tests.docs.pages import ROOT, anchors, slug, text

PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(f"docs/{page.name}" for page in ROOT.glob("docs/*.md")),
)
SOURCES = sorted(
    str(path.relative_to(ROOT))
    for folder in ("betar_tui", "tests")
    for pattern in ("*.py", "*.go", "*.tcss")
    for path in (ROOT / folder).rglob(pattern)
)
OTHERS = ("pyproject.toml", "Makefile", "constraints.txt", ".ci/run", ".pre-commit-config.yaml")

REFERENCE = re.compile(r"\bdocs/([\w-]+)\.md(?:#([\w-]+))?")
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
LEADS_NOWHERE = re.compile(r"\b(PROTOCOL|PY_LIBP2P|ARCHITECTURE|NAMES|FINDINGS|CLI|UI)(\.md| \d)|\bItem \d")


def references(path: str) -> Iterator[tuple[str, str]]:
    """The pages, with or without a heading, that a file names by their path."""
    for match in REFERENCE.finditer(text(path)):
        yield f"docs/{match[1]}.md", match[2] or ""


def missing(page: str, anchor: str) -> str:
    """What is wrong with a reference, or nothing."""
    if not (ROOT / page).is_file():
        return f"{page} does not exist"
    return "" if not anchor or anchor in anchors(page) else f"{page} has no heading #{anchor}"


@pytest.mark.parametrize("path", [*PAGES, *OTHERS])
def test_references_of_pages(path: str) -> None:
    assert [wrong for found in references(path) if (wrong := missing(*found))] == []


def test_references_of_the_code() -> None:
    wrong = [f"{path}: {what}" for path in SOURCES for found in references(path) if (what := missing(*found))]
    assert wrong == []


def test_no_reference_leads_out_of_the_repository() -> None:
    here = f"tests/docs/{__file__.rpartition('/')[2]}"
    wrong = [
        f"{path}: {match[0]}"
        for path in (*SOURCES, *PAGES, *OTHERS)
        if path != here
        for match in LEADS_NOWHERE.finditer(text(path))
    ]
    assert wrong == []


@pytest.mark.parametrize("path", PAGES)
def test_links_of_pages(path: str) -> None:
    wrong = []
    for target in LINK.findall(text(path)):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        page = (ROOT / path).parent / file if file else ROOT / path
        if not page.exists():
            wrong.append(f"{target}: no such file")
        elif anchor and (what := missing(str(page.resolve().relative_to(ROOT)), anchor)):
            wrong.append(what)
    assert wrong == []


PATH = re.compile(r"`((?:betar_tui|tests|docs|screenshots)/[\w./-]*)`")


@pytest.mark.parametrize("path", [page for page in PAGES if page != "CHANGELOG.md"])
def test_files_that_pages_name_exist(path: str) -> None:
    assert [name for name in PATH.findall(text(path)) if not (ROOT / name).exists()] == []


def test_no_page_names_a_path_of_a_machine() -> None:
    assert [page for page in PAGES if re.search(r"(?<![\w.])/(home|root|work|Users)/\w", text(page))] == []


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Merge rules", "merge-rules"),
        ("A delta, from wire to screen", "a-delta-from-wire-to-screen"),
        ("Start-up", "start-up"),
        ("`Peer` and [links](x.md)", "peer-and-links"),
    ],
)
def test_slugs(heading: str, anchor: str) -> None:
    assert slug(heading) == anchor
