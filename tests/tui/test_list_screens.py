"""The list screens and the ways to them: replica with its graph, own listings, log."""

from dataclasses import replace
from importlib import import_module

import pytest
import trio
from textual.screen import Screen

from betar_tui.errors import ControlError, StoreError
from betar_tui.market.marketplace import DagNodeInfo, DeltaInfo, Receipt, Repaired, RepublishReason, SyncProgress
from betar_tui.tui.announcements import sync_text
from betar_tui.tui.graph import draw
from betar_tui.tui.keybindings import SLASHES
from betar_tui.tui.screens import registry
from betar_tui.tui.screens.main import MainScreen
from betar_tui.tui.screens.publish import FormScreen
from betar_tui.tui.screens.replica import ReplicaScreen
from betar_tui.values import Quota, Quotas
from tests.test_architecture import ROOT, circle, import_graph, module_name
from tests.tui.fake import NOW, OWN, FakeMarketplace, listing, peer_id, short
from tests.tui.scenes import LOG
from tests.tui.ui import ui


def node(cid: str, height: int, *links: str, ids: tuple[str, ...] = (), tombstones: int = 0) -> DagNodeInfo:
    return DagNodeInfo(cid, height, links, 612, 0 if tombstones else 1, tombstones, ids)


DAG = (
    node("g", 5, "f", "d", ids=(f"{peer_id(1)}/amber-ocr",)),
    node("f", 4, "e"),
    node("e", 3, "b"),
    node("d", 3, "c", ids=(f"{peer_id(2)}/brisk-chat",)),
    node("x", 3, "b", tombstones=2, ids=("gone/agent",)),
    node("b", 2, "a"),
    node("c", 2, "a"),
    node("a", 1),
)


def items():
    return [listing("amber-ocr", 0.02, 1), listing("brisk-chat", 0.5, 2), listing("calm-geo", 1.5, mine=True)]


def with_dag(fake: FakeMarketplace) -> None:
    fake.deltas = DAG


def test_graph_branches_and_merges():
    lines = draw(DAG)
    assert [line.lanes.rstrip() for line in lines] == [
        "◆─╮",
        "● │",
        "● │",
        "│ ●",
        "│ │ ◆",
        "●─┼─╯",
        "│ ●",
        "●─╯",
    ]
    assert [line.head for line in lines] == [True, False, False, False, True, False, False, False]


def test_graph_of_a_chain_and_of_nothing():
    assert draw(()) == []
    assert [line.lanes for line in draw((node("b", 2, "a"), node("a", 1)))] == ["◆ ", "● "]


def test_graph_of_very_many_branches_stays_narrow():
    heads = tuple(node(f"h{n}", 2, "a") for n in range(60))
    lines = draw((*heads, node("a", 1)))
    assert max(len(line.lanes) for line in lines) <= 32
    assert len(lines) == 61


def test_a_sync_says_what_is_known_of_it_and_makes_no_share_up():
    text = sync_text(SyncProgress(1200, 3600, 900.0, peer_id(1)))
    assert text.startswith("syncing: 1,200 fetched, 900/s, at least 3,600 to come, from 12D3")
    assert sync_text(SyncProgress(0, 0, 0.0, "")) == "syncing: 0 fetched, 0/s, at least 0 to come, from several peers"


@ui(listings=items, prepare=with_dag)
async def test_replica_shows_the_graph_and_opens_a_delta(ui):
    await ui.press("4")
    await ui.sees("Replica", "2 heads", "◆─╮", "amber-ocr", "│ │ ◆", "×2")
    await ui.press("enter")
    await ui.sees(
        "Delta at height 5, a head", "1 key put, 0 versions removed", "Linked from 0, links to 2", "brisk-chat"
    )
    await ui.press("escape", "end", "enter")
    await ui.sees("Delta at height 1, a first delta", "Linked from 2, links to 0")
    await ui.press("escape", "escape")
    assert isinstance(ui.app.screen, MainScreen)


@ui(listings=items, prepare=with_dag)
async def test_links_of_a_delta_are_followed_and_lead_back(ui):
    await ui.press("4")
    await ui.sees("◆─╮")
    await ui.press("enter")
    await ui.sees("Delta at height 5")
    await ui.press("down", "enter")
    await ui.sees("Delta at height 3", "brisk-chat  0.5  by 12D3", "Linked from 1, links to 1", "⌫ comes back")
    await ui.press("down", "enter")
    await ui.sees("Delta at height 2")
    await ui.press("backspace", "backspace")
    await ui.sees("Delta at height 5")


def with_old_links(fake: FakeMarketplace) -> None:
    fake.deltas = (node("b", 2, "older"),)
    fake.applied = (DeltaInfo("b", 2, 612, NOW, peer_id(3), 1, 0, ()),)


@ui(listings=items, prepare=with_old_links)
async def test_a_delta_shows_its_source_and_links_out_of_sight_cannot_be_followed(ui):
    await ui.press("4")
    await ui.sees(f"via {short(3)}")
    await ui.press("enter")
    await ui.sees(f"via {peer_id(3)}", "older than what is shown")
    await ui.press("enter")
    await ui.sees("Delta at height 2")
    assert ui.toasts == ["It is older than the deltas shown here"]


def wide(fake: FakeMarketplace) -> None:
    heads = tuple(node(f"h{n}", 9, "base", "side") for n in range(24))
    fake.deltas = (*heads, node("base", 2, "root"), node("side", 2, "root"), node("root", 1))


@ui(listings=items, prepare=wide)
async def test_every_node_of_a_wide_dag_opens(ui):
    await ui.press("4")
    await ui.sees("◆─╮", "…")
    await ui.press("end", "enter")
    await ui.sees("Delta at height 1, a first delta", "Linked from 2")
    await ui.press("enter")
    await ui.sees("Delta at height 2", "Linked from 24, links to 1")
    await ui.press("end", "enter")
    await ui.sees("Delta at height 1")


@ui(listings=items, prepare=with_dag)
async def test_replica_keeps_the_last_graph_where_it_cannot_ask(ui):
    await ui.press("4")
    await ui.sees("◆─╮")
    ui.market.fail["dag"] = ControlError("the running peer went away")
    await ui.press("r")
    await ui.sees("these are the deltas of before: the running peer went away", "◆─╮")


def syncing(fake: FakeMarketplace) -> None:
    fake.more_status = {"sync": SyncProgress(1200, 3600, 900.0, peer_id(1)), "packed": 40}


@ui(size=(120, 30), listings=items, prepare=syncing)
async def test_replica_shows_the_sync_the_packed_blocks_and_that_it_is_held(ui):
    await ui.press("4")
    await ui.sees(
        "6 blocks (40 packed)",
        f"at least 3,600 to come, from {short(1)}",
        f"0 blocks wanted, sent by {short(1)} at 900/s",
    )
    await ui.press("h")
    await ui.sees("0 blocks wanted; the fetching of history is held", "Press h to go on")
    assert ui.market.calls.count(("hold_sync", True)) == 1


@ui(listings=items, prepare=with_dag)
async def test_replica_follows_new_deltas(ui):
    await ui.press("4")
    await ui.sees("◆─╮")
    ui.market.deltas = (node("h", 6, "g", "x", ids=("new/one",)), *DAG)
    ui.market.put(listing("delta-new", 0.1, 4))
    await ui.until(lambda: ui.app.screen._stale)
    ui.app.screen._ask_again()
    await ui.sees("head", "one  ")


def broken(fake: FakeMarketplace) -> None:
    fake.fail["dag"] = StoreError("the database is damaged: run betar-tui doctor")


@ui(listings=items, prepare=broken)
async def test_replica_shows_an_error(ui):
    await ui.press("4")
    await ui.sees("The deltas cannot be read", "the database is damaged")
    ui.market.fail.clear()
    ui.market.deltas = DAG
    await ui.press("r")
    await ui.sees("◆─╮")


@ui(listings=[])
async def test_empty_replica(ui):
    await ui.press("4")
    await ui.sees("The replica is empty")


@ui(listings=items)
async def test_mine_lists_own_listings_and_edits_them(ui):
    await ui.press("5")
    await ui.sees("Mine", "1 listing", "calm-geo", "announced to 2 peers")
    assert "amber-ocr" not in ui.text
    await ui.press("e")
    assert isinstance(ui.app.screen, FormScreen)
    await ui.press("escape", "d")
    await ui.sees("Delist calm-geo?")
    await ui.press("y")
    await ui.sees("0 listings, 1 delisted in this run", "delisted: U publishes it again")
    assert not ui.market.store.keys() & {f"{OWN}/calm-geo"}
    await ui.press("e")
    assert screen_name(ui) == "MineScreen"
    await ui.press("U")
    await ui.sees("1 listing, prices in USDC", "calm-geo")
    await ui.misses("delisted: U")
    again = ui.market.store[f"{OWN}/calm-geo"]
    before = next(item for item in items() if item.mine)
    for name in ("price", "description", "addrs", "protocols", "token_id"):
        assert getattr(again, name) == getattr(before, name)
    await ui.press("n")
    assert isinstance(ui.app.screen, FormScreen)


@ui(listings=items, peers=0)
async def test_mine_shows_pending_and_healed_listings(ui):
    mine = next(item for item in items() if item.mine)
    ui.app.model.stored(Receipt(mine.id, "bafy", 9, 0))
    await ui.press("5")
    await ui.sees("1 pending", "pending: waits for a peer")
    ui.app.model.stored(Receipt(mine.id, "bafz", 10, 3))
    ui.market.emit(Repaired(mine.id, mine.name, RepublishReason.MISSING, NOW))
    await ui.sees("healed: removed by anoth")


@ui(listings=items, log_tail=lambda: ["12:00 INFO up", "12:01 WARNING a \x1b[31mpeer\u202e left"])
async def test_log_shows_the_file_neutralised(ui):
    await ui.press("6")
    await ui.sees("Log", "2 lines", "INFO up", "␛[31mpeer\\u202e left")


@ui(size=(80, 24), listings=items, log_tail=lambda: LOG)
async def test_a_narrow_log_shows_whole_messages_and_offers_nothing_to_open(ui):
    await ui.press("6")
    await ui.sees(
        "3 lines", "12:04:09 ! 12D3KooWQz…77be sent a block that does not hash to its CID", "✗ the disk is full"
    )
    assert "⏎" not in ui.text


@ui(listings=items)
async def test_log_without_a_file_shows_the_notices(ui):
    ui.market.notice("a Go betar is on the topic", "warning")
    await ui.press("6")
    await ui.sees("of this run", "! a Go betar is on the topic")


@ui(listings=items)
async def test_palette_knows_the_upstream_commands(ui):
    commands = {command.title: command for command in ui.app.get_system_commands(ui.app.screen)}
    assert {"/help", "/peers", "/status", "/agent list", "/agent discover", "/exit"} <= set(commands)
    typed = [title for title, command in commands.items() if not command.discover]
    assert [title for title in typed if not title.startswith("Theme: ")] == [*SLASHES]
    await commands["/status"].callback()
    await ui.until(lambda: isinstance(ui.app.screen, ReplicaScreen))
    await ui.sees("The replica is empty")


@ui(listings=items)
async def test_what_changes_during_a_load_is_not_lost(ui):
    model = ui.app.model
    ui.market.gates["listings"] = trio.Event()
    ui.app.load()
    await ui.until(lambda: ui.app.paging.current is not None, "it is asked for")
    new = ui.market.put(replace(listing("delta-new", 0.1, 4), seen_at=NOW))
    await ui.until(lambda: new.id in model.table.new, "the change")
    assert model.table.total == 4
    ui.market.gates.pop("listings").set()
    await ui.until(lambda: new.id in model.table.window, "the row")
    assert model.table.total == 4 and model.mark(new.id).sign == "+"


@ui(listings=[listing("calm: geo", 1.5, mine=True)])
async def test_only_a_repair_that_was_made_is_shown_as_one(ui):
    await ui.press("5")
    (mine,) = ui.market.store.values()
    ui.market.emit(Repaired(mine.id, mine.name, RepublishReason.MISSING, NOW, "the disk is full"))
    await ui.until(lambda: ui.app.model.activity.entries, "the event")
    assert not ui.app.model.healed
    ui.market.emit(Repaired(mine.id, mine.name, RepublishReason.MISSING, NOW))
    await ui.sees("healed: removed by another peer")
    texts = [entry.text for entry in ui.app.model.activity.entries]
    assert texts == [
        "calm: geo: removed by another peer; not put again: the disk is full",
        "calm: geo: removed by another peer; put again",
    ]


def screen_name(ui) -> str:
    return type(ui.app.screen).__name__


def test_every_screen_of_the_registry_loads_and_none_imports_it():
    sources = {module_name(path): path.read_text() for path in ROOT.rglob("*.py")}
    graph = import_graph(sources)
    for module, class_name in registry.SCREENS.values():
        assert issubclass(getattr(import_module(module), class_name), Screen)
        # The imports by name count as well: they do not close a circle either.
        graph[registry.__name__].add(module)
    assert circle(graph) == []


@ui(listings=items, prepare=with_dag)
async def test_every_list_screen_is_a_key_away_from_every_other(ui):
    screens = {"4": "ReplicaScreen", "5": "MineScreen", "6": "LogScreen", "comma": "SettingsScreen"}
    for first in screens:
        for second, name in screens.items():
            await ui.press(first)
            await ui.until(lambda first=first: screen_name(ui) == screens[first])
            await ui.press(second)
            await ui.until(lambda name=name: screen_name(ui) == name)
            assert len(ui.app.screen_stack) == 2, "the main screen and one other"
            await ui.press("1")
            await ui.until(lambda: isinstance(ui.app.screen, MainScreen))


@ui(listings=items)
async def test_panes_are_a_key_away_from_the_screens_above_them(ui):
    await ui.press("enter")
    assert screen_name(ui) == "DetailScreen"
    await ui.press("2")
    await ui.sees("[2 Peers]")
    await ui.press("enter")
    assert screen_name(ui) == "PeerScreen"
    await ui.press("3")
    await ui.sees("[3 Activity]")
    assert isinstance(ui.app.screen, MainScreen)
    assert len(ui.app.screen_stack) == 1


@ui(listings=items, prepare=with_dag)
async def test_the_names_at_the_top_lead_to_list_screens(ui):
    await ui.click_text("5 Mine")
    await ui.until(lambda: screen_name(ui) == "MineScreen")
    await ui.press("escape")
    await ui.click_text("4 Replica")
    await ui.until(lambda: screen_name(ui) == "ReplicaScreen")


@ui(listings=items)
async def test_renew_publishes_the_chosen_one_once_more(ui):
    await ui.press("5")
    height = ui.market.store[f"{OWN}/calm-geo"].height
    await ui.press("u")
    await ui.until(lambda: ui.market.store[f"{OWN}/calm-geo"].height > height)
    await ui.until(lambda: ui.toasts == ["calm-geo is stored once more. Sent to 3 peers"])


@ui(listings=items, peers=0)
async def test_renew_without_peers_is_pending_and_an_error_is_shown(ui):
    await ui.press("5", "u")
    await ui.until(lambda: any("It is pending" in toast or "it is pending" in toast for toast in ui.toasts))
    ui.market.fail["update"] = StoreError("the disk is full")
    await ui.press("u")
    await ui.until(lambda: "calm-geo is as it was: the disk is full" in ui.toasts)


@ui(listings=items, prepare=with_dag)
async def test_the_footer_of_a_dialogue_names_its_keys_and_no_others(ui):
    def footer() -> str:
        return ui.lines[-1].strip()

    assert footer().startswith("? Help")
    await ui.press("end", "d")
    await ui.until(lambda: footer() == "y Yes  n No  Esc Back")
    await ui.press("n")
    await ui.until(lambda: footer().startswith("? Help"))
    for key, shown in (("y", "Esc Back"), ("a", "Esc Back"), ("question_mark", "/ Search  w Words  Esc Close")):
        await ui.press(key)
        await ui.until(lambda shown=shown: footer() == shown)
        await ui.press("escape")
        await ui.until(lambda: footer().startswith("? Help"))


@pytest.mark.parametrize("width", [60, 80, 120, 140])
def test_the_palette_is_always_in_the_footer(width):
    @ui(listings=items, size=(width, 24))
    async def look(ui):
        for pane in ("1", "2", "3"):
            await ui.press(pane)
            await ui.until(lambda: ui.lines[-1].rstrip().endswith("^p Palette"))
        if width >= 120:
            await ui.press("1")
            await ui.until(lambda: "4 Replica  5 Mine  6 Log" in ui.lines[-1])

    look()


def full_disk(market):
    market.more_status["limits"] = Quotas(Quota(10_000, 10_000, 312), Quota(10_000, 5), Quota(1 << 30, 1 << 30, 7))


@ui(prepare=full_disk)
async def test_replica_shows_the_limits_and_what_they_refused(ui):
    await ui.press("4")
    await ui.sees("1 GiB in use of 1 GiB, full: nothing of others is fetched, 7 blocks not taken")
    await ui.sees("shown: up to 10,000 of one seller, up to 10,000 unsigned of one peer; 312 not")
