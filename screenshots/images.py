"""From SVGs to PNGs and a GIF, with the tools that are installed."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SHORT, LONG = 90, 350
"""Hundredths of a second for a frame of the GIF, and for the last one."""


class Images:
    """The converters that are installed; `say_missing` names the others."""

    def __init__(self) -> None:
        self.rsvg = shutil.which("rsvg-convert")
        self.magick = _magick()
        self.pillow = importlib.util.find_spec("PIL") is not None

    def say_missing(self) -> None:
        """Name the images that cannot be made, and the packages to install."""
        if not self.rsvg:
            sys.stderr.write(
                "no rsvg-convert: only SVGs are made (Debian: apt-get install librsvg2-bin fonts-dejavu)\n"
            )
        if not self.magick and not self.pillow:
            sys.stderr.write(
                "neither ImageMagick nor Pillow: no GIF, larger PNGs (Debian: apt-get install imagemagick)\n"
            )

    def png(self, svg: Path, width: int) -> Path | None:
        """Make the PNG of an SVG, next to it; with a palette if ImageMagick is installed."""
        if not self.rsvg:
            return None
        png = svg.with_suffix(".png")
        subprocess.run([self.rsvg, "-w", str(width), str(svg), "-o", str(png)], check=True)
        if self.magick:
            subprocess.run([self.magick, str(png), "+dither", "-colors", "64", "-strip", f"PNG8:{png}"], check=True)
        return png

    def pngs(self, svgs: Sequence[tuple[Path, int]]) -> list[Path]:
        """Make the PNGs of many SVGs in parallel, in their order."""
        with ThreadPoolExecutor() as pool:
            return [png for png in pool.map(lambda svg: self.png(*svg), svgs) if png]

    def gif(self, frames: Sequence[Path], target: Path) -> bool:
        """An animation of PNGs of one size; whether it could be made."""
        if not frames or not (self.magick or self.pillow):
            return False
        if self.magick:
            *first, last = map(str, frames)
            command = [self.magick, "-delay", str(SHORT), *first, "-delay", str(LONG), last, "-loop", "0"]
            subprocess.run([*command, "+dither", "-colors", "64", "-layers", "optimize", str(target)], check=True)
        else:
            _pillow_gif(frames, target)
        return True


def _magick() -> str | None:
    """The path of ImageMagick, under either of its names; another program may have the second one."""
    for name in ("magick", "convert"):
        path = shutil.which(name)
        if (
            path
            and b"Version: ImageMagick" in subprocess.run([path, "-version"], check=False, capture_output=True).stdout
        ):
            return path
    return None


def _pillow_gif(frames: Sequence[Path], target: Path) -> None:
    from PIL import Image

    first, *others = (Image.open(frame).convert("RGB").quantize(64) for frame in frames)
    stay = [10 * SHORT] * len(others) + [10 * LONG]
    first.save(target, save_all=True, append_images=others, duration=stay, loop=0, optimize=True)
