"""What may be wrong with the files of a data directory: the program says one true sentence, in time, and changes nothing."""

import errno
import json
import os
import shlex
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from betar_tui.cli import main
from betar_tui.config import save_settings
from betar_tui.market.marketplace import ListingDraft
from betar_tui.peer import open_peer
from betar_tui.plurals import plural
from tests.peers.harness import LISTEN, QUIET, config, served

TIMEOUT = 60.0
"""Seconds after which a command hangs."""
PROGRAM = (sys.executable, "-m", "betar_tui")
OTHER, STRANGER = 54321, 54322
"""Users without an account."""
FILES = (
    "identity.key",
    "lock",
    "replica.db",
    "replica.db-wal",
    "replica.db-shm",
    "replica.db-journal",
    "betar-tui.log",
)
SETTINGS_TOO = ("identity.key", "betar-tui.log", "config.toml")
"""Those whose faults count as wrong usage."""
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
Snapshot = dict[str, tuple[int, int, object]]


def call(*arguments: object, prefix: Sequence[str] = (), **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. A hang or a traceback is a failure."""
    command = [*prefix, *PROGRAM, *map(str, arguments)]
    settings: dict[str, Any] = {"stdin": subprocess.DEVNULL, "env": {**os.environ, **QUIET}, **options}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT, **settings)
    assert "Traceback" not in done.stderr
    return done


def refused(*arguments: object, says: str, code: int, prefix: Sequence[str] = ()) -> str:
    """Run a command that is refused with one line; the line."""
    done = call(*arguments, prefix=prefix)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (code, "")
    assert says in line
    assert not any(word in line.replace("remove the zero byte", "") for word in ("remove", "delete", "rm "))
    return line


def snapshot(folder: Path) -> Snapshot:
    """All that is in a folder, by name: mode, owner and content, or what a link leads to."""
    found: Snapshot = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        content: object = path.read_bytes() if stat.S_ISREG(about.st_mode) else None
        if stat.S_ISLNK(about.st_mode):
            content = os.readlink(path)
        found[path.relative_to(folder).as_posix()] = (about.st_mode, about.st_uid, content)
    return found


def unchanged(path: Path) -> tuple[int, ...]:
    """What writing to a file, or replacing it, changes."""
    found = path.stat()
    return found.st_ino, found.st_mode, found.st_uid, found.st_size, found.st_mtime_ns


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with one listing."""
    folder = tmp_path_factory.mktemp("model") / "data"
    assert call("publish", "--name", "x", "--price", "1", "--data-dir", folder).returncode == 0
    return folder


@pytest.fixture
def data(model: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    folder = tmp_path / "data"
    shutil.copytree(model, folder)
    folder.chmod(0o700)
    return folder


def test_what_is_made_is_private_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    old = os.umask(0)
    try:
        call("publish", "--name", "x", "--price", "1", "--data-dir", folder, "--log-file", tmp_path / "log")
    finally:
        os.umask(old)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)} == {0o700}
    files = [*folder.iterdir(), tmp_path / "log"]
    assert {path.name for path in files} >= {"identity.key", "replica.db", "lock", "log"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


# --- the key ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "says"),
    [(0o644, "everybody may read it"), (0o640, "its group may read it"), (0o602, "everybody may use it")],
)
def test_a_key_that_others_may_use_is_refused_with_the_command_that_mends_it(data: Path, mode: int, says: str) -> None:
    (data / "identity.key").chmod(mode)
    before = snapshot(data)
    line = refused("list", "--data-dir", data, says=says, code=2)
    assert snapshot(data) == before
    assert call("doctor", "--data-dir", data, "--listen", LISTEN[0]).returncode == 1
    subprocess.run(line.rpartition("make it private: ")[2], shell=True, check=True)
    assert call("list", "--data-dir", data).returncode == 0


def no_key(data: Path) -> Path:
    (data / "identity.key").unlink()
    return data / "identity.key"


KEYS: dict[str, tuple[Callable[[Path], object], str]] = {
    "fifo": (lambda d: os.mkfifo(no_key(d)), "it is a fifo, not a regular file"),
    "directory": (lambda d: no_key(d).mkdir(), "it is a directory"),
    "device": (lambda d: no_key(d).symlink_to("/dev/zero"), "it is a device"),
    "dangling link": (lambda d: no_key(d).symlink_to("/nowhere/key"), "it is a link to /nowhere/key, where nothing is"),
    "links in a circle": (lambda d: no_key(d).symlink_to("identity.key"), "Too many levels"),
    "with a line feed": (lambda d: (d / "identity.key").write_bytes(bytes(33)), "33 bytes instead of 32"),
    "empty": (lambda d: (d / "identity.key").write_bytes(b""), "0 bytes instead of 32"),
    "large": (lambda d: os.truncate(d / "identity.key", 1 << 30), "it is larger than 4 KiB"),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_key_that_is_none_is_left_alone(data: Path, name: str) -> None:
    make, says = KEYS[name]
    make(data)
    before = {} if name == "large" else snapshot(data)
    refused("list", "--data-dir", data, says=says, code=2)
    assert name == "large" or snapshot(data) == before


def test_a_link_of_ones_own_to_the_key_is_followed(data: Path, tmp_path: Path) -> None:
    (data / "identity.key").rename(tmp_path / "secret")
    (data / "identity.key").symlink_to("../secret")
    assert json.loads(call("list", "--json", "--data-dir", data).stdout)[0]["mine"] is True
    (tmp_path / "secret").chmod(0o644)
    refused("list", "--data-dir", data, says="everybody may read it", code=2)


# --- the settings -------------------------------------------------------------------------------


def deep(opening: str, closing: str = "", count: int = 100_000) -> bytes:
    return f"interface = {opening * count}{closing * count}\n".encode()


SETTINGS: dict[str, tuple[bytes, str]] = {
    "arrays": (deep("[", "]"), "nested too deeply"),
    "open arrays": (deep("["), "nested too deeply"),
    "tables": (deep("{a=", "}", 50_000), "nested too deeply"),
    "a name of many parts": (b"a." * 50_000 + b"a = 1\n", "too many parts"),
    "a header of many parts": (b"[" + b"a." * 50_000 + b"a]\n", "too many parts"),
    "a long number": (b"listen = " + b"9" * 100_000, "too many digits"),
    "a long hexadecimal number": (b"listen = 0x" + b"f" * 100_000, "is nothing to listen on"),
    "a long time": (b"refresh_interval = 0x" + b"f" * 100_000, "is too long a time"),
    "much text": (b'log_level = "' + b"a" * 100_000 + b'"', "is not one of"),
    "not text": (b"\xff\xfe", "is not UTF-8"),
    "zero byte": (b'log_file = "a\\u0000b"', "zero byte"),
    "nobody's home": (b'log_file = "~nobody-here/x"', "home directory"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_cannot_be_are_one_sentence(data: Path, name: str) -> None:
    content, says = SETTINGS[name]
    (data / "config.toml").write_bytes(content)
    assert len(refused("list", "--data-dir", data, says=says, code=2)) < 500
    assert (data / "config.toml").read_bytes() == content


PLACES: dict[str, tuple[Callable[[Path], object], str]] = {
    "fifo": (os.mkfifo, "it is a fifo"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
    "directory": (lambda path: path.mkdir(), "it is a directory"),
    "dangling link": (lambda path: path.symlink_to("/nowhere/x"), "where nothing is"),
    "100 MB": (lambda path: (path.touch(), os.truncate(path, 100_000_000)), "it is larger than 256 KiB"),
}


@pytest.mark.parametrize("name", PLACES)
def test_settings_that_are_no_file_are_one_sentence(data: Path, name: str) -> None:
    make, says = PLACES[name]
    make(data / "config.toml")
    refused("list", "--data-dir", data, says=says, code=2)


@pytest.mark.parametrize("content", [b'\xef\xbb\xbflog_level = "debug"\r\n', '# ü\r\nlog_level = "debug"\r\n'.encode()])
def test_settings_as_other_systems_write_them(data: Path, content: bytes) -> None:
    (data / "config.toml").write_bytes(content)
    assert call("list", "--data-dir", data, env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}).returncode == 0


def test_a_link_of_ones_own_to_the_settings_stays_and_what_it_leads_to_keeps_its_mode(tmp_path: Path) -> None:
    dots, link = tmp_path / "dots" / "betar.toml", tmp_path / "config.toml"
    dots.parent.mkdir()
    dots.write_text('# mine\nlog_level = "info"\n')
    dots.chmod(0o644)
    link.symlink_to("dots/betar.toml")
    save_settings(link, {"interface": {"theme": "betar-light"}})
    assert os.readlink(link) == "dots/betar.toml"
    assert dots.read_text() == '# mine\nlog_level = "info"\n\n[interface]\ntheme = "betar-light"\n'
    assert stat.S_IMODE(dots.stat().st_mode) == 0o644
    assert [path.name for path in dots.parent.iterdir()] == ["betar.toml"]


# --- the directory ------------------------------------------------------------------------------


def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    refused("list", "--data-dir", tmp_path / "data", says="is not a directory", code=2)
    refused("list", "--data-dir", tmp_path / "data" / "below", says="ot a directory", code=2)
    assert (tmp_path / "data").read_text() == "mine"


def test_a_data_directory_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to("there")
    refused("list", "--data-dir", tmp_path / "data", says="where nothing is", code=2)
    assert not (tmp_path / "there").exists()
    (tmp_path / "there").mkdir(mode=0o700)
    assert call("list", "--data-dir", tmp_path / "data").returncode == 0


@pytest.mark.parametrize("arguments", [["list"], ["--serve", "--listen", LISTEN[0]]])
def test_a_data_directory_that_everybody_may_write_to(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)
    refused(*arguments, "--data-dir", tmp_path / "data", says="everybody may write to it; make it private", code=2)
    assert snapshot(tmp_path / "data") == {}


async def test_a_directory_that_was_made_under_umask_002_can_be_served(tmp_path: Path) -> None:
    """Its group has no other members, as with a group of one's own; here it is nobody's."""
    (tmp_path / "data").mkdir()
    if os.geteuid() == 0:
        os.chown(tmp_path / "data", -1, OTHER)
    (tmp_path / "data").chmod(0o775)
    async with open_peer(config(tmp_path / "data"), network=False) as peer:
        await peer.publish([ListingDraft(name="x", price=1.0)])


def test_paths_of_nobody(tmp_path: Path) -> None:
    for option in ("--data-dir", "--log-file"):
        refused("list", option, "~nobody-here/x", says="home directory in ~nobody-here/x is not known", code=2)
    (tmp_path / "~tilde").mkdir(mode=0o700)
    assert call("list", "--data-dir", "./~tilde", cwd=tmp_path, env={**os.environ, **path_of_program()}).returncode == 0


def path_of_program() -> dict[str, str]:
    """The environment with which the program is found from another directory."""
    return {"PYTHONPATH": str(Path(__file__).parents[2])}


# --- files in the way ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_fifo_in_the_way_is_refused_in_time(data: Path, name: str) -> None:
    (data / name).unlink(missing_ok=True)
    os.mkfifo(data / name)
    before = snapshot(data)
    log = ["--log-file", data / name] if name == "betar-tui.log" else []
    refused("list", "--data-dir", data, *log, says=f"{name}: it is a fifo", code=2 if name in SETTINGS_TOO else 1)
    assert snapshot(data) == before


def test_what_has_the_name_of_the_socket_is_not_removed(data: Path) -> None:
    (data / "control.sock").write_text("mine")
    done = call("--serve", "--listen", LISTEN[0], "--data-dir", data)
    assert (done.returncode, (data / "control.sock").read_text()) == (1, "mine")
    assert "control.sock: it is a file, not a socket" in done.stderr.splitlines()[-1]


async def test_a_socket_that_was_left_behind_is_replaced(data: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(data / "control.sock"))
    assert call("list", "--data-dir", data).returncode == 0


@only_root
@pytest.mark.parametrize("name", [*FILES, "config.toml"])
def test_links_that_somebody_planted_are_not_followed(tmp_path: Path, name: str) -> None:
    """The data directory is sticky, as /tmp is, and the target can be written to: only the program prevents it."""
    shared, victim = tmp_path / "shared", tmp_path / "victim"
    shared.mkdir()
    shared.chmod(0o1777)
    victim.write_bytes(bytes(32))
    victim.chmod(0o600)
    (shared / name).symlink_to(victim)
    os.chown(shared / name, OTHER, OTHER, follow_symlinks=False)
    before = unchanged(victim)
    log = ["--log-file", shared / name] if name == "betar-tui.log" else []
    refused("list", "--data-dir", shared, *log, says="it is a link", code=2 if name in SETTINGS_TOO else 1)
    assert unchanged(victim) == before
    assert os.readlink(shared / name) == str(victim)


@only_root
@pytest.mark.parametrize("name", FILES[:4])
def test_files_that_somebody_planted_are_not_used(tmp_path: Path, name: str) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / name).write_bytes(bytes(32))
    (shared / name).chmod(0o600)
    os.chown(shared / name, OTHER, OTHER)
    refused("list", "--data-dir", shared, says=f"it belongs to user {OTHER}", code=2 if name == "identity.key" else 1)
    assert (shared / name).read_bytes() == bytes(32)


@only_root
def test_a_log_with_a_second_name_in_a_shared_directory_is_not_written(tmp_path: Path) -> None:
    shared, victim = tmp_path / "shared", tmp_path / "victim"
    shared.mkdir()
    shared.chmod(0o1777)
    victim.write_text("mine")
    os.link(victim, shared / "log")
    refused("list", "--data-dir", tmp_path / "d", "--log-file", shared / "log", says="second name", code=2)
    assert victim.read_text() == "mine"


@only_root
def test_a_socket_that_somebody_planted_is_told_nothing(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(shared / "control.sock"))
        os.chown(shared / "control.sock", OTHER, OTHER)
        theirs.listen()
        theirs.setblocking(False)
        refused("status", "--data-dir", tmp_path / "shared" / "control.sock", says="not a directory", code=2)
        assert "running: no" in call("status", "--data-dir", shared).stdout
        with pytest.raises(BlockingIOError):
            theirs.accept()


# --- files that a person names ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (os.mkfifo, "it is a fifo"),
        (lambda path: path.symlink_to("/dev/full"), "it is a device"),
        (lambda path: path.symlink_to("/nowhere/x"), "where nothing is"),
        pytest.param(lambda path: (path.touch(), os.chown(path, OTHER, OTHER)), "it belongs to user", marks=only_root),
    ],
)
def test_an_export_replaces_nothing_but_a_plain_file_of_ones_own(
    data: Path, tmp_path: Path, make: Callable[[Path], object], says: str
) -> None:
    make(tmp_path / "x.car")
    before = snapshot(tmp_path)
    refused("export", tmp_path / "x.car", "--data-dir", data, says=says, code=1)
    after = snapshot(tmp_path)
    assert {name: after[name] for name in after if "/" not in name} == {n: before[n] for n in before if "/" not in n}


@only_root
def test_an_export_as_root_leaves_devices_where_they_are(data: Path) -> None:
    refused("export", "/dev/null", "--data-dir", data, says="it is a device", code=1)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_an_export_keeps_the_mode_and_the_link(data: Path, tmp_path: Path) -> None:
    (tmp_path / "x.car").write_text("old")
    (tmp_path / "x.car").chmod(0o640)
    (tmp_path / "link.car").symlink_to("x.car")
    assert call("export", tmp_path / "link.car", "--data-dir", data).returncode == 0
    assert (tmp_path / "link.car").is_symlink()
    assert stat.S_IMODE((tmp_path / "x.car").stat().st_mode) == 0o640
    assert call("import", tmp_path / "x.car", "--data-dir", tmp_path / "other").stdout.startswith("merged 1 new")


@pytest.mark.parametrize("command", [["import"], ["publish", "--file"]])
def test_what_never_ends_is_not_read(data: Path, tmp_path: Path, command: list[str]) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "sock"))
    for path, says in (("fifo", "a fifo"), ("sock", "a socket"), ("/dev/zero", "a device"), (".", "a directory")):
        refused(*command, tmp_path / path, "--data-dir", data, says=f"it is {says}", code=1)


def test_what_a_shell_hands_over_is_read_up_to_a_bound(data: Path) -> None:
    program, folder = shlex.join(PROGRAM), shlex.quote(str(data))
    script = f'{program} publish --data-dir {folder} --file <(echo \'[{{"name": "y", "price": 2}}]\')'
    done = subprocess.run(["bash", "-c", script], check=False, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stderr) == (0, "")
    with open("/dev/zero", "rb") as zeros:
        done = call("publish", "--file", "/dev/stdin", "--data-dir", data, stdin=zeros)
    assert (done.returncode, "it is larger than 64 MiB" in done.stderr) == (1, True)


def test_a_car_file_that_a_shell_hands_over(data: Path, tmp_path: Path) -> None:
    assert call("export", tmp_path / "x.car", "--data-dir", data).returncode == 0
    with (tmp_path / "x.car").open("rb") as car:
        done = call("import", "/dev/stdin", "--data-dir", tmp_path / "other", stdin=car)
    assert done.stdout.startswith("merged 1 new delta")
    script = (
        f"{shlex.join(PROGRAM)} import --data-dir {shlex.quote(str(data))} <(cat {shlex.quote(str(tmp_path))}/x.car)"
    )
    done = subprocess.run(["bash", "-c", script], check=False, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stderr, done.stdout[:29]) == (0, "", "merged 0 new deltas of /dev/f")
    with open("/dev/zero", "rb") as zeros:
        done = call("import", "-", "--data-dir", data, stdin=zeros)
    assert (done.returncode, "stdin is not a CAR file" in done.stderr) == (1, True)
    program, folder = f"{shlex.join(PROGRAM)} import -", shlex.quote(str(data))
    script = f"gzip < {shlex.quote(str(tmp_path))}/x.car | {program} --data-dir {folder}"
    done = subprocess.run(["bash", "-c", script], check=False, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, "stdin is compressed with gzip; unpack it on the way" in done.stderr) == (1, True)


async def test_a_running_peer_reads_what_stdin_is_to_the_command(data: Path, tmp_path: Path) -> None:
    assert call("export", tmp_path / "x.car", "--data-dir", data).returncode == 0
    async with served(tmp_path / "other"):
        with (tmp_path / "x.car").open("rb") as car:
            done = await trio.to_thread.run_sync(
                lambda: call("import", "/dev/stdin", "--data-dir", tmp_path / "other", stdin=car)
            )
    assert (done.returncode, done.stdout.startswith("merged 1 new delta")) == (0, True)


async def test_archives_go_through_pipes_from_one_peer_to_another(data: Path, tmp_path: Path) -> None:
    program, other = shlex.join(PROGRAM), shlex.quote(str(tmp_path / "other"))
    script = (
        f"set -eo pipefail; cd {shlex.quote(str(tmp_path))}; {program} export - --data-dir {shlex.quote(str(data))}"
        f" | {program} import - --json --data-dir {other}; {program} export here.car --json --data-dir {other}"
    )
    async with served(tmp_path / "other"), served(data):
        done = await trio.run_process(["bash", "-c", script], capture_stdout=True, capture_stderr=True, check=False)
    assert (done.returncode, done.stderr.count(b"\n")) == (0, 1)  # how much was exported
    imported, exported = map(json.loads, done.stdout.splitlines())
    blocks = f"{plural(exported['blocks'], 'block')} of {plural(exported['bytes'], 'byte')}"
    assert done.stderr.decode().endswith(f"wrote {blocks} in all to stdout\n")
    assert (imported["new"], imported["path"]) == (exported["blocks"], "stdin")
    # A path is that of who gives the command, and so are the rights and the umask; the peer opens nothing.
    assert (exported["path"], (tmp_path / "here.car").stat().st_size > 500) == (str(tmp_path / "here.car"), True)


def test_a_file_whose_name_is_a_dash_is_a_file(data: Path, tmp_path: Path) -> None:
    done = call("export", "./-", "--json", "--data-dir", data, cwd=tmp_path)
    assert json.loads(done.stdout)["path"] == str(tmp_path / "-")
    done = call("import", "./-", "--json", "--data-dir", data, cwd=tmp_path)
    assert json.loads(done.stdout)["path"] == str(tmp_path / "-")
    (tmp_path / "-").write_text('{"name": "y", "price": 1}')
    assert call("publish", "--file", "./-", "--data-dir", data, cwd=tmp_path).returncode == 0
    assert call("publish", "--file", "-", "--data-dir", data, cwd=tmp_path).returncode == 1  # stdin is empty


def test_the_path_of_an_archive_is_absolute_for_programs(data: Path, tmp_path: Path) -> None:
    for command in ("export", "import"):
        done = call(command, "here.car", "--json", "--data-dir", data, cwd=tmp_path)
        assert json.loads(done.stdout)["path"] == str(tmp_path / "here.car")


@pytest.mark.parametrize("full", [True, False])
def test_an_export_to_stdout_that_has_no_room_is_one_sentence(full, data, tmp_path, monkeypatch, capsys):
    def unwritable(directory: Path) -> Any:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        (tmp_path / "kept").touch()
        return (tmp_path / "kept").open("rb")

    monkeypatch.setattr("betar_tui.transfers.nameless", unwritable)
    assert main(["export", "-", "--data-dir", str(data)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    says = (
        f"cannot write what goes to stdout into {data}: the disk is full; make room"
        if full
        else "cannot write stdout: "
    )
    assert line.startswith(f"betar-tui: {says}")


async def test_a_running_peer_opens_no_file_for_a_client(data: Path, tmp_path: Path) -> None:
    async with served(data) as peer, await trio.open_unix_socket(str(peer.control)) as stream:
        for method in ("export_car", "import_car"):
            asked = {"id": 1, "method": method, "params": {"path": str(tmp_path / "x.car"), "descriptor": 3}}
            await stream.send_all(json.dumps(asked).encode() + b"\n")
            answer = json.loads(await stream.receive_some())
            assert "opens no files for others" in answer["error"]["message"]
    assert not (tmp_path / "x.car").exists()


def test_one_bad_listing_of_many_is_named(data: Path, tmp_path: Path) -> None:
    listings: list[dict[str, Any]] = [{"name": f"n{n}", "price": n} for n in range(305)]
    for field, value, says in (
        ("price", -1, "the price must be a number that is not negative"),
        ("price", "0.05", "its price is a text, '0.05'; write a number without quotation marks"),
        ("price", [1], "its price is not a number"),
        ("name", "a/b", "the name may not contain slashes"),
        ("name", "", "a listing needs a name"),
        ("description", "x" * 20_000, "the description must be a text of at most"),
        ("addrs", ["nowhere"], "'nowhere' is not a multiaddr"),
        ("description", [1], "its description is not a text"),
    ):
        changed = [{**each, field: value} if n == 203 else each for n, each in enumerate(listings)]
        (tmp_path / "many.json").write_text(json.dumps(changed))
        done = call("publish", "--file", tmp_path / "many.json", "--data-dir", data)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith(f"betar-tui: listing 204, {changed[203]['name'][:60]!r} in ")
        assert says in done.stderr


def test_listings_with_a_byte_order_mark(data: Path, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(b'\xef\xbb\xbf[{"name": "b", "price": 1}]')
    assert call("publish", "--file", tmp_path / "b.json", "--data-dir", data).returncode == 0


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "koi8-r"])
def test_letters_that_the_terminal_lacks_are_replaced(data: Path, encoding: str) -> None:
    assert call("publish", "--name", "日本 ✓ é", "--price", "1", "--data-dir", data).returncode == 0
    done = call("list", "--data-dir", data, env={**os.environ, "PYTHONIOENCODING": encoding}, encoding=encoding)
    assert (done.returncode, done.stderr, "?? ?" in done.stdout) == (0, "", True)


def test_a_log_that_is_a_device_or_a_stream(data: Path) -> None:
    for place in ("/dev/null", "/dev/stderr"):
        assert call("list", "--data-dir", data, "--log-file", place).returncode == 0


# --- another user -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def as_other() -> list[str]:
    """What runs a command as another user, who may read everything but write only what is theirs."""
    if os.geteuid() != 0:
        pytest.skip("only root can run a program as another user")
    reading = "+dac_read_search"  # the interpreter may be in the home directory of root
    prefix = ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", "--bounding-set", f"-all,{reading}"]
    prefix += ["--inh-caps", reading, "--ambient-caps", reading, "env", "PYTHONDONTWRITEBYTECODE=1"]
    try:
        found = subprocess.run([*prefix, *PROGRAM, "--version"], capture_output=True, timeout=TIMEOUT, check=False)
    except FileNotFoundError:
        pytest.skip("there is no setpriv")
    if found.returncode:
        pytest.skip(f"setpriv may not: {found.stderr.decode()[:200]}")
    return prefix


def give(folder: Path, uid: int, mode: int = 0o700, gid: int = -1) -> None:
    """Give a folder to a user, and let everybody through those above it."""
    for each in folder.parents:
        if each.is_relative_to("/tmp") and each != Path("/tmp"):
            each.chmod(each.stat().st_mode | 0o011)
    os.chown(folder, uid, gid)
    folder.chmod(mode)


def test_the_data_directory_of_another_user(data: Path, as_other: list[str]) -> None:
    give(data, 0, 0o755)
    before = snapshot(data)
    refused("list", "--data-dir", data, says="it belongs to root, and you may not", code=2, prefix=as_other)
    give(data, STRANGER, 0o777)
    says = f"it belongs to user {STRANGER}; choose another, or run betar-tui as user {STRANGER}"
    refused("list", "--data-dir", data, says=says, code=2, prefix=as_other)
    refused("list", "--data-dir", data, says=says, code=2)  # to root too
    assert snapshot(data) == before


def test_a_volume_as_container_platforms_mount_it(tmp_path: Path, as_other: list[str]) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    give(volume, 0, 0o2775, OTHER)
    assert call("publish", "--name", "x", "--price", "1", "--data-dir", volume, prefix=as_other).returncode == 0
    assert {path.stat().st_uid for path in volume.iterdir()} == {OTHER}
    assert {stat.S_IMODE(path.stat().st_mode) for path in volume.iterdir()} == {0o600}
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    give(open_to_all, 0, 0o2777)
    line = refused("list", "--data-dir", open_to_all, says="everybody may write to it", code=2, prefix=as_other)
    assert call("list", "--data-dir", line.rpartition("as ")[2], prefix=as_other).returncode == 0  # as it advises


def test_files_that_root_has_left_behind(data: Path, as_other: list[str]) -> None:
    give(data, OTHER)
    for path in data.iterdir():
        os.chown(path, OTHER, OTHER)
    assert call("list", "--data-dir", data, prefix=as_other).returncode == 0
    for name in ("lock", "replica.db"):
        os.chown(data / name, 0, 0)
        says = f"it belongs to root; make it yours: sudo chown $USER {data / name}"
        refused("list", "--data-dir", data, says=says, code=1, prefix=as_other)
        os.chown(data / name, OTHER, OTHER)
    data.chmod(0o500)
    refused("list", "--data-dir", data, says=f"chmod u+rwx {data}", code=2, prefix=as_other)


# --- the disk -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def namespace() -> list[str]:
    """What runs a command with mounts of its own."""
    prefix = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-U", "-r", "-m"]
    test = [*prefix, "mount", "-t", "tmpfs", "none", "/mnt"]
    if not shutil.which("unshare") or subprocess.run(test, check=False, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    return prefix


def on_disk(tmp_path: Path, prepare: str, size: str = "64k") -> list[str]:
    """A prefix that mounts a small disk and prepares it; what is on it in the end is copied to `left`."""
    disk, left = tmp_path / "disk", tmp_path / "left"
    disk.mkdir()
    script = f"mount -t tmpfs -o size={size},mode=700 none {disk} && {prepare}\n"
    script += f'"$@"; code=$?; cp -a {disk} {left}; exit $code'
    return ["sh", "-c", script, "sh"]


FILL = "dd if=/dev/zero of={0}/disk/fill bs=4k 2>/dev/null"
SERVE = ["--serve", "--listen", LISTEN[0]]
PUBLISH = ["publish", "--name", "z", "--price", "1"]


@pytest.mark.parametrize("arguments", [["list"], PUBLISH, SERVE])
@pytest.mark.parametrize("size", ["4k", "8k", "64k", "128k"])
def test_a_new_directory_on_a_full_disk(tmp_path: Path, namespace: list[str], arguments: list[str], size: str) -> None:
    prefix = namespace + on_disk(tmp_path, "true" if size != "4k" else FILL.format(tmp_path), size)
    code = 2 if size == "4k" else 1  # not even the key fits
    line = refused(*arguments, "--data-dir", tmp_path / "disk" / "data", says="full", code=code, prefix=prefix)
    assert "make room" in line


@pytest.mark.parametrize("arguments", [["list"], PUBLISH, SERVE])
def test_a_disk_that_has_become_full(data: Path, tmp_path: Path, namespace: list[str], arguments: list[str]) -> None:
    prefix = namespace + on_disk(tmp_path, f"cp -a {data} {tmp_path}/disk/; {FILL.format(tmp_path)}", "1m")
    refused(
        *arguments, "--data-dir", tmp_path / "disk" / "data", says="the disk is full; make room", code=1, prefix=prefix
    )
    left = tmp_path / "left" / "data"
    assert (left / "identity.key").read_bytes() == (data / "identity.key").read_bytes()
    assert [each["name"] for each in json.loads(call("list", "--json", "--data-dir", left).stdout)] == ["x"]


def test_the_doctor_does_not_blame_the_database_for_a_full_disk(
    data: Path, tmp_path: Path, namespace: list[str]
) -> None:
    prefix = namespace + on_disk(tmp_path, f"cp -a {data} {tmp_path}/disk/; {FILL.format(tmp_path)}", "1m")
    done = call("doctor", "--json", "--data-dir", tmp_path / "disk" / "data", prefix=prefix)
    (store,) = [each for each in json.loads(done.stdout)["checks"] if each["check"] == "store"]
    assert (store["state"], store["advice"]) == ("wrong", "make room on it and try again")


@pytest.mark.parametrize("arguments", [["list"], PUBLISH, SERVE])
def test_a_disk_that_is_read_only(data: Path, tmp_path: Path, namespace: list[str], arguments: list[str]) -> None:
    disk = tmp_path / "disk"
    prefix = namespace + on_disk(tmp_path, f"cp -a {data} {disk}/; mount -o remount,ro {disk}", "1m")
    refused(*arguments, "--data-dir", disk / "data", says="the file system is read-only", code=2, prefix=prefix)
    assert snapshot(tmp_path / "left" / "data") == snapshot(data)


def test_exports_to_a_full_disk_and_to_one_that_is_read_only(data: Path, tmp_path: Path, namespace: list[str]) -> None:
    disk, old = tmp_path / "disk", "printf old"
    prefix = namespace + on_disk(tmp_path, f"{old} >{disk}/x.car; {FILL.format(tmp_path)}")
    refused("export", disk / "x.car", "--data-dir", data, says="the disk is full", code=1, prefix=prefix)
    assert sorted(path.name for path in (tmp_path / "left").iterdir()) == ["fill", "x.car"]
    assert (tmp_path / "left" / "x.car").read_text() == "old"
    disk.rmdir()
    shutil.rmtree(tmp_path / "left")
    prefix = namespace + on_disk(tmp_path, f"{old} >{disk}/x.car; mount -o remount,ro {disk}")
    refused("export", disk / "x.car", "--data-dir", data, says="the file system is read-only", code=1, prefix=prefix)
    assert (tmp_path / "left" / "x.car").read_text() == "old"
