"""Pictures of every screen: `python screenshots/make.py [DIRECTORY]`, from the root of the repository.

Drives the real app on the demo market: an own peer on a temporary directory and five real peers in a child process,
over loopback. Writes an SVG and a PNG for each screen, size and theme, and a GIF of the main path; names those it
cannot make for lack of a tool. No test compares these pictures: look at them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ["TZ"] = "UTC"
os.environ["COLORTERM"] = "truecolor"
time.tzset()

import trio  # noqa: E402
import trio_asyncio  # noqa: E402

from betar_tui import logs  # noqa: E402
from betar_tui.demo import demo_market  # noqa: E402
from betar_tui.market.marketplace import Marketplace  # noqa: E402
from betar_tui.tui.app import BetarApp  # noqa: E402
from betar_tui.tui.bridge import Bridge  # noqa: E402
from betar_tui.tui.options import TuiOptions  # noqa: E402
from screenshots.images import Images  # noqa: E402
from screenshots.screens import SCREENS, home, main_path, ready  # noqa: E402
from tests.tui.ui import Ui  # noqa: E402

SIZES = {"80x24": (80, 24), "140x40": (140, 40)}
THEMES = ("betar-dark", "betar-light")
PNG_WIDTH = {"80x24": 640, "140x40": 1120}
GIF_SIZE, GIF_WIDTH = (100, 28), 800
SEED = "pictures"


def save(ui: Ui, path: Path) -> Path:
    """The screen as an SVG."""
    svg = ui.app.export_screenshot()
    # Without it some converters swallow the spaces between columns.
    svg = svg.replace("<text ", '<text xml:space="preserve" ')
    # They also ignore the length of a text: at this size DejaVu Sans Mono is as wide as a cell, and borders meet.
    path.write_text(svg.replace("font-size: 20px", "font-size: 20.265px"))
    return path


async def film(ui: Ui, scratch: Path) -> list[Path]:
    """Walk the main path; the frames as SVGs."""
    frames: list[Path] = []
    await main_path(ui, lambda: frames.append(save(ui, scratch / f"frame-{len(frames):02d}.svg")))
    return frames


async def pictures(ui: Ui, folder: Path) -> list[tuple[Path, int]]:
    """Save every screen in each size and theme: the SVGs, each with the width of its PNG."""
    made = []
    for size, (width, height) in SIZES.items():
        await home(ui)
        await ui.pilot.resize_terminal(width, height)
        for theme in THEMES:
            ui.app.settings.change(theme=theme)
            for name, steps in SCREENS.items():
                await home(ui)
                await steps(ui)
                svg = save(ui, folder / f"{name}-{size}-{theme.removeprefix('betar-')}.svg")
                made.append((svg, PNG_WIDTH[size]))
                sys.stdout.write(f"{svg.name}\n")
                sys.stdout.flush()
    return made


async def session(market: Marketplace, scratch: Path, work: Callable[[Ui], Awaitable[None]]) -> None:
    """One start of the app; in asyncio."""
    log = scratch / "betar-tui.log"
    options = TuiOptions(title="betar demo", animate=False, log_tail=partial(logs.tail, log))
    app = BetarApp(Bridge(market, interval=options.interval), options)
    async with app.run_test(size=GIF_SIZE, notifications=True) as pilot:
        await work(Ui(app, pilot, market, time.time))  # type: ignore[arg-type]


async def run(folder: Path, images: Images) -> None:
    """Demo, app, film and pictures."""

    async def work(ui: Ui) -> None:
        frames.extend(await film(ui, scratch))
        await ready(ui)
        svgs.extend(await pictures(ui, folder))

    frames: list[Path] = []
    svgs: list[tuple[Path, int]] = []
    with tempfile.TemporaryDirectory(prefix="betar-tui-pictures-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        logs.configure("info", "text", scratch / "betar-tui.log")
        async with demo_market(scratch, seed=SEED) as peer, trio_asyncio.open_loop():
            await trio_asyncio.aio_as_trio(session)(peer, scratch, work)
        images.pngs(svgs)
        images.gif(images.pngs([(svg, GIF_WIDTH) for svg in frames]), folder / "main-path.gif")


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    images = Images()
    images.say_missing()
    trio.run(run, folder, images)
    return 0


if __name__ == "__main__":
    sys.exit(main())
