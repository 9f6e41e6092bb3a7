"""A page of a market of a million: what a filter costs from the key to the rows, without the interface. No network.

The rows are made directly in a temporary file. Every page is read afresh, the patterns in turn, from the beginning and
from the middle of an order, by name and by price; each figure is of one page of 60 rows. Bars: p50 at most 30 ms, p95 at
most 100 ms for each kind of pattern. The others are for the curious."""

import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from betar_tui.catalogue.counting import count
from betar_tui.catalogue.interrupting import Interruptible
from betar_tui.catalogue.search_index import INDEXES, put_in
from betar_tui.catalogue.windows import Asked, read_window
from betar_tui.market.facts import facts_text
from betar_tui.market.filter import parse, search_text
from betar_tui.market.marketplace import Listing, Place, Provenance
from tests.bench.common import number
from tests.catalogue.tables import connect, create, state_of

LISTINGS = number("LISTINGS", 1_000_000)
PAGE = 60
NOW = 1_795_390_401.0
P50, P95 = 30.0, 100.0
WORDS = (
    "swift fleet amber brisk quiet lunar solar rapid clever gentle ocr translate forecast summary search image audio video"
    " pdf invoice legal medical travel recipe weather finance crypto ledger agent model vision speech code review test"
)
KINDS = {
    "common": ("agent", "reads", "ocr", "fleet agent"),
    "rare": ("agent-123456", "quixotic", "zephyr", "quixotic ocr"),
    "two letters": ("oc", "qx", "ai", "zz"),
    "price": ("price<0.5", "price>0.999", "price<0.00001", "price=0.25"),
    "metadata": ("tag:nlp", "meta.tier:gold", "meta.serial:1234", "meta.tier:gold tag:rare"),
    "none": ("xylophonist", "tag:nobody", "price<0", "agent nothing-such"),
}
FURTHER = {
    "two rare letters": ("%%", "§§"),
    "words rare together": ("left right", "odd even"),
    "words and facts": ("ocr tag:nlp", "agent-12 meta.tier:gold", "odd proto:rare", "even proto:rare"),
    "sellers": ("seller:{seller}", "seller:{busy}", "seller:12D3…{end}", "12D3KooW"),
    "fields": (
        "name:ocr",
        "name:quixotic",
        "description:zephyr",
        "proto:x402",
        "proto:rare",
        "id:agent-77777",
        "id:agent price<0.00001",
    ),
    "states": ("state:mine", "state:new", "state:stale", "seen<1h", "state:unsigned ocr"),
    "or": ("ocr or quixotic", "quixotic or zephyr", "tag:rare or price<0.00001"),
}


def peer(rng: random.Random) -> str:
    """A peer id."""
    return "12D3KooW" + "".join(rng.choices("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", k=44))


def listing(n: int, rng: random.Random, words: list[str], seller: str) -> Listing:
    """The n-th listing: texts of some 300 letters."""
    name = f"{rng.choice(words)}-{rng.choice(words)}-agent-{n}"
    rare = ["quixotic"] * (n % 4_001 == 7) + ["zephyr"] * (n % 300_007 == 11)
    side = ["left"] * (n % 2_000 > 1_000 or n == 0) + ["right"] * (n % 2_000 < 900)
    described = ["Reads", *rng.choices(words, k=24), *rare, *side, "odd" if n % 2 else "even"]
    if n % 100_003 == 5:
        described.append("odd even")
    tags = [rng.choice(("nlp", "vision", "audio")), *(["rare"] if n % 2_003 == 3 else [])]
    return Listing(
        id=f"{seller}/{name}",
        name=name,
        price=round(rng.random(), 6),
        metadata={"tier": rng.choice(("gold", "silver", "bronze")), "tags": tags, "serial": n},
        seller_id=seller,
        addrs=(),
        protocols=("/x402/libp2p/1.0.0",) if n % 3 else ("/rare/1",) if n % 50_001 == 0 else (),
        timestamp=int(NOW) - rng.randrange(20_000),
        token_id=None,
        provenance=Provenance.UNSIGNED if n % 10 == 0 else Provenance.VERIFIED,
        mine=n % 100_000 == 1,
        cid="",
        height=n,
        description=" ".join(described),
        seen_at=NOW - rng.randrange(1, 4_000_000) / 10,
    )


def fill(path: Path) -> tuple[str, str]:
    """Make the market; a seller of some listings, and one of many."""
    db = create(str(path))
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000"):
        db.execute(f"PRAGMA {pragma}")
    for index in INDEXES:
        db.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('hashsize', ?)", (64 << 20,))
    rng, words = random.Random(7), WORDS.split()
    sellers = [peer(rng) for _ in range(max(2, LISTINGS // 100))]
    db.execute("BEGIN")
    for n in range(LISTINGS):
        seller = sellers[0] if n % 50 == 0 else rng.choice(sellers)
        one = listing(n, rng, words, seller)
        seen = int(one.seen_at * 1000)
        facts, text, k, first_seen = facts_text(one), search_text(one), n + 1, seen - rng.randrange(10**6)
        row = (k, one.id, one.name, one.price, seller, seen, first_seen, state_of(one), one.timestamp, n, None)
        db.execute("INSERT INTO listings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)", row)
        db.execute("INSERT INTO listing_texts VALUES (?, ?, ?)", (k, text, facts))
        put_in(db, [(k, text, facts)])
    db.execute("UPDATE catalogue_counts SET n = ? WHERE name = 'listings'", (LISTINGS,))
    db.execute("COMMIT")
    db.close()
    return sellers[1], sellers[0]


def middle(db: sqlite3.Connection, sort: str) -> Place:
    """The place of the row in the middle of an order."""
    column = sort.removeprefix("-")
    sql = f"SELECT {column}, name, k FROM listings ORDER BY {column}, name, k LIMIT 1 OFFSET ?"
    return Place(*db.execute(sql, (LISTINGS // 2,)).fetchone())


def measure(
    db: sqlite3.Connection, texts: tuple[str, ...], sort: str, after: Place | None
) -> tuple[list[float], list[str]]:
    """Milliseconds of a page for each pattern, several times; and what each cost, for the curious."""
    samples, each_text = [], []
    for text in texts:
        wanted, took = parse(text), []
        rounds = 0
        while rounds < 5:
            start = time.perf_counter()
            with Interruptible(db) as reading:
                rows = read_window(reading, Asked(wanted, sort, PAGE, after), NOW)
            took.append((time.perf_counter() - start) * 1000)
            rounds += 1 if took[-1] < 500 else 5
        samples += took
        each_text.append(f"{text} {statistics.median(took):.1f} ({len(rows.places)})")
    return samples, each_text


def report(db: sqlite3.Connection, kinds: Mapping[str, tuple[str, ...]], bars: bool) -> None:
    """Print p50 and p95 for each kind, and the milliseconds and rows of each pattern."""
    for kind, texts in kinds.items():
        for place in ("first", "middle"):
            samples, details = list[float](), list[str]()
            for sort in ("name", "-price"):
                found, each = measure(db, texts, sort, middle(db, sort) if place == "middle" else None)
                samples += found
                details += each
            samples.sort()
            p50, p95 = statistics.median(samples), samples[min(len(samples) - 1, len(samples) * 95 // 100)]
            verdict = ("  met" if p50 <= P50 and p95 <= P95 else "  MISSED") if bars else ""
            print(f"{kind}, {place} page: p50 {p50:.1f} ms, p95 {p95:.1f} ms{verdict}")
            print(f"    {'; '.join(details)}", flush=True)


def main() -> None:
    """Print what pages cost."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalogue.db"
        start = time.perf_counter()
        some, busy = fill(path)
        size = path.stat().st_size
        print(f"{LISTINGS} listings: {size / LISTINGS:.0f} bytes each, made in {time.perf_counter() - start:.0f} s")
        run(path, some, busy)


def run(path: Path, some: str, busy: str) -> None:
    """Measure on a market that is made."""
    db = connect(str(path))
    report(db, KINDS, bars=True)
    names = {"seller": some, "busy": busy, "end": some[-4:]}
    report(db, {kind: tuple(text.format(**names) for text in texts) for kind, texts in FURTHER.items()}, bars=False)
    for text in ("ocr", "quixotic", "oc", "price<0.5", "tag:nlp"):
        start = time.perf_counter()
        found = count(db, parse(text), NOW)
        print(f"count {text}: {found} in {(time.perf_counter() - start) * 1000:.0f} ms", flush=True)
    db.close()


if __name__ == "__main__":
    main()
