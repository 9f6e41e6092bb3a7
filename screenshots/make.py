"""Pictures of every screen: `python screenshots/make.py [DIRECTORY]`, from the root of the repository.

Drives the real app over the sample market of the tests, so that the pictures change only when the interface does, and
writes an SVG for each screen, size and theme. PNGs are made too where `rsvg-convert` is on the PATH (Debian: apt-get
install librsvg2-bin); without it the script says so and leaves them out. Look at the pictures: nobody else does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ["TZ"] = "UTC"
time.tzset()

from betar_tui.market.marketplace import DagNode  # noqa: E402
from tests.tui.fake import FakeMarketplace  # noqa: E402
from tests.tui.market import market  # noqa: E402
from tests.tui.test_snapshots import lively, settled  # noqa: E402
from tests.tui.ui import NEVER, Ui, ui  # noqa: E402

SIZES = {"80x24": (80, 24), "140x40": (140, 40)}
THEMES = ("betar-dark", "betar-light")
PNG_WIDTH = {"80x24": 640, "140x40": 1120}

Steps = Callable[[Ui], Awaitable[None]]


def keys(*names: str) -> Steps:
    """A screen that keys lead to."""

    async def steps(ui: Ui) -> None:
        await lively(ui)
        await ui.press(*names)
        await settled(ui)

    return steps


async def form(ui: Ui) -> None:
    """The form with a name, a price that is none, and what is wrong with it."""
    await ui.press("n")
    await ui.type("swift-ocr-12")
    await ui.press("tab")
    await ui.type("cheap")
    await ui.press("f2")
    ui.app.screen.query_one("#field-name").cursor_blink = False  # type: ignore[attr-defined]
    await ui.pilot.pause()


async def filtered(ui: Ui) -> None:
    """A filter that leaves some rows."""
    await lively(ui)
    await ui.press("slash")
    await ui.type("ocr price<0.9")
    await ui.press("enter")
    await settled(ui)


SCREENS: dict[str, Steps] = {
    "market": keys(),
    "filter": filtered,
    "listing": keys("enter"),
    "peers": keys("2"),
    "activity": keys("3"),
    "replica": keys("4"),
    "delta": keys("4", "down", "down", "enter"),
    "mine": keys("5"),
    "log": keys("6"),
    "publish": form,
    "help": keys("question_mark"),
}


def prepare(fake: FakeMarketplace) -> None:
    """A history with branches."""
    ids = [item.id for item in market(40)]
    links = {9: (8, 6), 8: (7,), 7: (5,), 6: (4,), 5: (3,), 4: (3, 2), 3: (1,), 2: (1,), 1: ()}
    height = {9: 6, 8: 5, 7: 4, 6: 4, 5: 3, 4: 3, 3: 2, 2: 2, 1: 1}
    fake.deltas = tuple(
        DagNode(_cid(n), height[n], tuple(map(_cid, links[n])), 600 + 31 * n, n % 3, 0 if n % 3 else 1, (ids[n],))
        for n in links
    )


def _cid(number: int) -> str:
    return f"bafyreib{'qazxswedcvfrtgb' * 3}{number:04d}"


def picture(folder: Path, name: str, size: str, theme: str) -> Path:
    """One SVG."""
    path = folder / f"{name}-{size}-{theme.removeprefix('betar-')}.svg"

    @ui(size=SIZES[size], theme=theme, settle=NEVER, prepare=prepare, log_tail=lambda: LOG)
    async def take(hand: Ui) -> None:
        await SCREENS[name](hand)
        # Without it some converters swallow the spaces between columns.
        svg = hand.app.export_screenshot().replace("<text ", '<text xml:space="preserve" ')
        path.write_text(svg)

    take()
    return path


LOG = (
    "2026-11-23 12:04:01,220 INFO betar_tui.p2p.service: listening on /ip4/192.168.1.20/tcp/4001",
    "2026-11-23 12:04:02,871 INFO betar_tui.p2p.service: 12D3KooWJk…a91f is connected",
    "2026-11-23 12:04:09,013 WARNING betar_tui.p2p.service: 12D3KooWQz…77be sent a block that does not hash to its CID",
)


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    converter = shutil.which("rsvg-convert")
    if converter is None:
        sys.stderr.write("no rsvg-convert on the PATH: only SVGs are made (Debian: apt-get install librsvg2-bin)\n")
    for size in SIZES:
        for theme in THEMES:
            for name in SCREENS:
                svg = picture(folder, name, size, theme)
                if converter:
                    width = str(PNG_WIDTH[size])
                    subprocess.run([converter, "-w", width, str(svg), "-o", str(svg.with_suffix(".png"))], check=True)
                sys.stdout.write(f"{svg.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
