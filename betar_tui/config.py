"""The configuration of a peer: data directory, settings, identity key.

Settings come from the command line, the environment and `config.toml`, in this order of precedence. `cli` reads the
first two and passes them as strings: nothing here reads argv or the environment. Every command imports this module: what
few of them use is imported where that is."""

import fcntl
import ipaddress
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from betar_tui.choices import DIALECTS as DIALECTS
from betar_tui.choices import LOG_FORMATS, LOG_LEVELS
from betar_tui.errors import ConfigError
from betar_tui.multiaddrs import split_peer

DEFAULT_LISTEN = "/ip4/0.0.0.0/tcp/4001"
MIN_ANNOUNCE_INTERVAL, _LOCK_TIMEOUT = 5.0, 10.0
"""Minimum seconds between announcements, and maximum seconds of waiting for the lock of the settings."""
MAX_SOCKET_PATH = 100  # bytes; Linux allows 107, macOS 103

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one peer; intervals are in seconds.

    What looks for other peers is off here and on in `load_config`: only a person's peer sends to the network unasked."""

    data_dir: Path
    listen: tuple[str, ...] = (DEFAULT_LISTEN,)
    listen_explicit: bool = False  # whether `listen` was configured
    bootstrap: tuple[str, ...] = ()
    mdns: bool = False
    dht: bool = False
    dht_server: bool | None = None  # None: only while others can reach this peer
    upnp: bool | None = None  # None: only with the interface
    announce_interval: float = 30.0
    refresh_interval: float = 3600.0
    listing_dialect: str = "auto"
    log_level: str = "info"
    log_format: str = "text"
    log_file: Path | None = None
    interface: Mapping[str, object] = field(default_factory=dict)  # parsed by the interface itself

    @property
    def database(self) -> Path:
        """The replica's database."""
        return self.data_dir / "replica.db"

    @property
    def control_socket(self) -> Path:
        """The Unix socket on which the running peer of this data directory listens for commands."""
        path = self.data_dir.absolute() / "control.sock"
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
            return path
        # The kernel limits the length of the path: a deep data directory has its socket in a private temporary folder.
        import hashlib
        import tempfile

        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:24]
        return Path(tempfile.gettempdir()) / f"betar-tui-{os.getuid()}" / f"{name}.sock"

    @property
    def key_file(self) -> Path:
        """The identity key's file."""
        return self.data_dir / "identity.key"

    @property
    def settings_file(self) -> Path:
        """The settings file."""
        return self.data_dir / "config.toml"


def parse_duration(text: str) -> float:
    """Seconds of "500ms", "30s" or "1m30s". Raises ConfigError."""
    if not _DURATION.fullmatch(text.strip()):
        raise ConfigError(f"{text!r} is not a duration; write it like 500ms, 30s or 1m30s")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def load_config(data_dir: Path, given: Mapping[str, object]) -> Config:
    """The settings of a data directory: `given`, then its config.toml, then the defaults.

    Raises ConfigError, which names the option."""
    values = {**_read_settings(data_dir / "config.toml"), **given}
    unknown = values.keys() - _PARSERS.keys()
    if unknown:
        raise ConfigError(f"unknown setting {sorted(unknown)[0]!r} in {data_dir / 'config.toml'}; remove it")
    read = {}
    for name, value in values.items():
        try:
            read[name] = _PARSERS[name](value)
        except ConfigError as error:
            raise ConfigError(f"--{name.replace('_', '-')}: {error}") from error
    return Config(data_dir=data_dir, listen_explicit="listen" in read, **{"mdns": True, "dht": True, **read})


def save_settings(path: Path, changes: Mapping[str, object]) -> None:
    """Change settings in a file, keeping its comments; None removes one, a mapping is a table. Raises ConfigError."""
    import tomlkit  # deferred: needed only to save
    from tomlkit.exceptions import TOMLKitError

    try:
        with _directory_lock(path.parent):
            document = tomlkit.parse(path.read_text()) if path.exists() else tomlkit.document()
            _set(document, changes)
            _write_durably(path, tomlkit.dumps(document).encode())
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise ConfigError(f"cannot save the settings in {path}: {error}") from error


@contextmanager
def _directory_lock(directory: Path) -> Iterator[None]:
    """Lock a directory: an interface and its peer both save settings, and must not overwrite each other's changes."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Without a lock, on a file system that has none or after the timeout, saving is still better than failing.
        with suppress(OSError):
            deadline = time.monotonic() + _LOCK_TIMEOUT
            while not _try_lock(fd) and time.monotonic() < deadline:
                time.sleep(0.01)
        yield
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _set(table: MutableMapping[str, Any], changes: Mapping[str, object]) -> None:
    for name, value in changes.items():
        # A hand-written file may have dashes, as the options do.
        key = name.replace("_", "-") if name.replace("_", "-") in table else name
        if isinstance(value, Mapping):
            _set(table.setdefault(key, {}), value)
        elif value is None:
            table.pop(key, None)
        else:
            table[key] = list(value) if isinstance(value, tuple) else value


def prepare_data_dir(path: Path) -> None:
    """Create the data directory for its owner only. Raises ConfigError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot create {path}: {error.strerror}; choose another --data-dir") from error


def load_identity(path: Path) -> bytes:
    """The 32-byte Ed25519 seed in `path`, created by the first call, readable by its owner only. Raises ConfigError."""
    try:
        seed = path.read_bytes()
    except FileNotFoundError:
        return _create_identity(path)
    except OSError as error:
        raise ConfigError(f"cannot read the identity key {path}: {error.strerror}") from error
    if len(seed) != 32:
        raise ConfigError(
            f"the identity key {path} has {len(seed)} bytes instead of 32; restore it from a backup, or remove it to"
            " become a new peer"
        )
    return seed


def _create_identity(path: Path) -> bytes:
    import secrets

    seed = secrets.token_bytes(32)
    try:
        _write_durably(path, seed)
    except OSError as error:
        raise ConfigError(f"cannot write the identity key {path}: {error.strerror}") from error
    return seed


def _write_durably(path: Path, content: bytes) -> None:
    """Replace a file atomically, readable by its owner only: a reader sees either the old content or the new one."""
    import tempfile

    fd, part = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(part)
        raise
    with suppress(OSError):  # not supported by every file system
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)  # else a power cut may undo the rename
        finally:
            os.close(directory)


def _read_settings(path: Path) -> dict[str, object]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    import tomllib

    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    return {name.replace("-", "_"): value for name, value in table.items()}


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{value!r} is not a text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part for part in re.split(r"[\s,]+", value) if part)
    if not isinstance(value, Sequence):
        raise ConfigError(f"{value!r} is not a list of texts")
    return tuple(_text(item) for item in value)


def _bootstrap(value: object) -> tuple[str, ...]:
    for address in _texts(value):
        if not split_peer(address)[1]:
            raise ConfigError(f"{address!r} does not end in /p2p/<peer id>")
    return _texts(value)


def _is_ip(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


def _listen(value: object) -> tuple[str, ...]:
    for address in _texts(value):
        found = re.match(r"/ip([46])/([^/]+)/tcp/(\d{1,5})(/|$)", address)
        if not found or not _is_ip(found[2], int(found[1])) or int(found[3]) > 65_535:
            raise ConfigError(f"{address!r} is nothing to listen on; write it like /ip4/0.0.0.0/tcp/4001")
    return _texts(value)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        return value.lower() in ("1", "true", "yes", "on")
    raise ConfigError(f"{value!r} is neither true nor false")


def _seconds(value: object) -> float:
    seconds = parse_duration(value) if isinstance(value, str) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds) or seconds <= 0:
        raise ConfigError(f"{value!r} is not a duration; write it like 500ms, 30s or 1m30s")
    return float(seconds)


def _announce_interval(value: object) -> float:
    seconds = _seconds(value)
    if seconds < MIN_ANNOUNCE_INTERVAL:
        raise ConfigError(f"{value} is shorter than the least interval of {MIN_ANNOUNCE_INTERVAL:g}s")
    return seconds


def _one_of(*choices: str) -> Callable[[object], Any]:
    def parse(value: object) -> str:
        if value not in choices:
            raise ConfigError(f"{value!r} is not one of {', '.join(choices)}")
        return str(value)

    return parse


def _table(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{value!r} is not a table; write [interface] above its settings")
    return value


def _path(value: object) -> Path:
    return Path(_text(value)).expanduser()


_PARSERS = {
    "listen": _listen,
    "bootstrap": _bootstrap,
    "mdns": _flag,
    "dht": _flag,
    "dht_server": _flag,
    "upnp": _flag,
    "announce_interval": _announce_interval,
    "refresh_interval": _seconds,
    "listing_dialect": _one_of(*DIALECTS),
    "log_level": _one_of(*LOG_LEVELS),
    "log_format": _one_of(*LOG_FORMATS),
    "log_file": _path,
    "interface": _table,
}
