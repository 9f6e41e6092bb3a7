"""The configuration of a peer: data directory, settings, identity key.

Settings come from the command line, the environment and `config.toml`, in this order of precedence. `cli` reads the
first two and passes them as strings: nothing here reads argv or the environment. Every command imports this module: what
few of them use is imported where that is."""

import ipaddress
import math
import os
import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from betar_tui.choices import DIALECTS as DIALECTS
from betar_tui.choices import LOG_FORMATS, LOG_LEVELS
from betar_tui.errors import ConfigError
from betar_tui.files.directories import locked_directory, prepare_directory
from betar_tui.files.plain import read_own, read_secret
from betar_tui.files.replacing import create_secret, replace
from betar_tui.files.rules import explain
from betar_tui.limits import Limits
from betar_tui.multiaddrs import split_peer
from betar_tui.nearest import nearest

DEFAULT_LISTEN = "/ip4/0.0.0.0/tcp/4001"
MIN_ANNOUNCE_INTERVAL, _LOCK_TIMEOUT = 5.0, 10.0
"""Minimum seconds between announcements, and maximum seconds of waiting for the lock of the settings."""
_MAX_SETTINGS, _MAX_KEY = 256 << 10, 4 << 10
"""Maximum bytes that are read of the settings, and of a key."""
_MAX_DOTS = 100
"""Maximum dots in a line of the settings, without its texts."""
_MAX_SHOWN = 60
"""Maximum characters of a value in a message."""
_QUOTED = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'")

LIMITS = ("listings_per_seller", "unsigned_per_peer", "max_disk")
"""The settings of the table [limits], which are options as well."""
MIN_DISK = 16 << 20
"""Minimum bytes of the limit of the replica: an empty one and its log have nearly as many."""
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,3})?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
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
    limits: Limits = field(default_factory=Limits)
    interface: Mapping[str, object] = field(default_factory=dict)  # parsed by the interface itself

    @property
    def database(self) -> Path:
        """The replica's database."""
        return self.data_dir / "replica.db"

    @property
    def control_socket(self) -> Path:
        """The Unix socket on which the running peer of this data directory listens for commands."""
        return self.data_dir.absolute() / "control.sock"

    @property
    def key_file(self) -> Path:
        """The identity key's file."""
        return self.data_dir / "identity.key"

    @property
    def drafts_file(self) -> Path:
        """What was typed into forms of the interface and not sent."""
        return self.data_dir / "drafts.json"

    @property
    def settings_file(self) -> Path:
        """The settings file."""
        return self.data_dir / "config.toml"


def parse_duration(text: str) -> float:
    """Seconds of "500ms", "30s" or "1m30s". Raises ConfigError."""
    if not _DURATION.fullmatch(text.strip()):
        raise ConfigError(f"{shown(text)} is not a duration; write it like 500ms, 30s or 1m30s")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


_Wrong = Callable[[ConfigError], object]
"""Is given each mistake in the settings file, which is left out; or raises it."""


def load_config(
    data_dir: Path,
    given: Mapping[str, object],
    given_by: Mapping[str, str] | None = None,
    *,
    wrong: _Wrong | None = None,
) -> Config:
    """The settings of a data directory: `given`, then its config.toml, then the defaults.

    `given_by` tells where those that were given are set, but for options. Raises ConfigError, which names the option and
    where it is set; a mistake in the file goes to `wrong` where that is given, and what is mistaken is left out."""
    file, wrong = data_dir / "config.toml", wrong or _raise
    try:
        kept = _with_limits(_read_settings(file), file, wrong)
    except ConfigError as error:
        wrong(error)
        kept = {}
    for name in sorted(kept.keys() - _PARSERS.keys()):
        wrong(ConfigError(f"unknown setting {shown(name)} in {file}; {_instead_of(name)}"))
        del kept[name]
    used = {name: value for name, value in kept.items() if name not in given}
    read = {
        **_parsed(used, dict.fromkeys(used, str(file)), wrong),
        **_parsed(given, given_by or {}, _raise),
    }
    disk = {"disk": read.pop("max_disk")} if "max_disk" in read else {}
    limits = Limits(**{name: read.pop(name) for name in LIMITS if name in read}, **disk)
    found = {"mdns": True, "dht": True, **read}
    return Config(data_dir=data_dir, listen_explicit="listen" in read, limits=limits, **found)


def _instead_of(name: str) -> str:
    """What to do about a setting that there is not."""
    if name == "data_dir":
        return "the file lies in the data directory, which --data-dir and BETAR_TUI_DATA_DIR name; remove it"
    near = nearest(name, (*_PARSERS, "limits"))
    return f"did you mean {near}?" if near else "remove it"


def _raise(error: ConfigError) -> None:
    raise error


def _parsed(values: Mapping[str, object], places: Mapping[str, str], wrong: _Wrong) -> dict[str, Any]:
    """The values of settings, each without a mistake. `places` tells where they are set, but for options."""
    read = {}
    for name, value in values.items():
        try:
            read[name] = _PARSERS[name](value)
        except ConfigError as error:
            where = f"; it is set in {places[name]}" if name in places else ""
            wrong(ConfigError(f"--{name.replace('_', '-')}: {error}{where}"))
    return read


def _with_limits(settings: dict[str, object], file: Path, wrong: _Wrong) -> dict[str, object]:
    """The settings of a file with those of its table [limits] among them."""
    table = settings.pop("limits", {})
    if not isinstance(table, Mapping):
        wrong(ConfigError(f"limits in {file}: {shown(table)} is not a table; write [limits] above its settings"))
        table = {}
    limits = {str(name).replace("-", "_"): value for name, value in table.items()}
    for name in sorted(limits.keys() - set(LIMITS)):
        there = f"there are {', '.join(LIMITS)}"
        wrong(ConfigError(f"unknown setting {shown(name)} in [limits]; {there}; correct it in {file}"))
        del limits[name]
    return {**settings, **limits}


def save_settings(path: Path, changes: Mapping[str, object]) -> None:
    """Change settings in a file, keeping its comments; None removes one, a mapping is a table. Raises ConfigError."""
    import tomlkit  # deferred: needed only to save
    from tomlkit.exceptions import TOMLKitError

    try:
        with locked_directory(path.parent, _LOCK_TIMEOUT):
            try:
                document = tomlkit.parse(_read_text(path))
            except FileNotFoundError:
                document = tomlkit.document()
            _set(document, changes)
            replace(path, tomlkit.dumps(document).encode())
    except OSError as error:
        raise ConfigError(explain(error, f"cannot save the settings in {path}", "check who may write to it")) from error
    except RecursionError as error:
        raise ConfigError(
            f"cannot save the settings in {path}: its values are nested too deeply; correct it"
        ) from error
    except (ConfigError, ValueError, TOMLKitError) as error:
        raise ConfigError(f"cannot save the settings in {path}: {error}") from error


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
    """Create the data directory for its owner only, or make sure that nobody else can write to it. Raises ConfigError."""
    try:
        prepare_directory(path)
    except OSError as error:
        raise ConfigError(
            explain(error, f"cannot use the data directory {path}", "choose another --data-dir")
        ) from error


def load_identity(path: Path, *, create: bool = True) -> bytes:
    """The 32-byte Ed25519 seed in `path`, readable by its owner only, made by the first call.

    Raises ConfigError, and without `create` FileNotFoundError."""
    try:
        seed = read_secret(path, _MAX_KEY)
    except FileNotFoundError:
        if not create:
            raise
        return _create_identity(path)
    except OSError as error:
        raise ConfigError(explain(error, f"cannot use the identity key {path}", "restore it from a backup")) from error
    if len(seed) != 32:
        raise ConfigError(
            f"the identity key {path} has {len(seed)} bytes instead of 32; restore it from a backup, or move it away to"
            " become a new peer"
        )
    return seed


def _create_identity(path: Path) -> bytes:
    import secrets

    seed = secrets.token_bytes(32)
    try:
        create_secret(path, seed)
    except OSError as error:
        raise ConfigError(
            explain(error, f"cannot write the identity key {path}", "choose another --data-dir")
        ) from error
    return seed


def _read_text(path: Path) -> str:
    """The text of a settings file. Raises ConfigError, FileNotFoundError."""
    try:
        content = read_own(path, _MAX_SETTINGS)
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):  # as some editors write it, and call it Unicode
            raise ConfigError(f"{path} is not UTF-8 text, but UTF-16; save it as UTF-8")
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:
        raise ConfigError(f"the data directory {path.parent} is not a directory; choose another --data-dir") from error
    except OSError as error:
        raise ConfigError(explain(error, f"cannot read {path}", "check who may read it")) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path} is not UTF-8 text: {error.reason} in line {line}, at byte {error.start}; save it as UTF-8"
        ) from error
    # The parsers take time that grows with the square of the parts of a name.
    lines = (_QUOTED.sub("", line).partition("#")[0] for line in text.splitlines())
    if any(line.count(".") > _MAX_DOTS for line in lines):
        raise ConfigError(f"{path} is not valid: a name in it has too many parts; correct it")
    return text


def _read_settings(path: Path) -> dict[str, object]:
    try:
        text = _read_text(path)
    except FileNotFoundError:
        return {}
    import tomllib

    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(f"{path} is not valid TOML: its values are nested too deeply; correct it") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}; correct it") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML: a number in it has too many digits; correct it") from error
    return {name.replace("-", "_"): value for name, value in table.items()}


def shown(value: object) -> str:
    """A value of a setting for a message, shortened: it may be anything."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of too many digits, or values that are nested too deeply
        return "what is there"
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{shown(value)} is not a text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part for part in re.split(r"[\s,]+", value) if part)
    if not isinstance(value, Sequence):
        raise ConfigError(f"{shown(value)} is not a list of texts")
    return tuple(_text(item) for item in value)


def _bootstrap(value: object) -> tuple[str, ...]:
    for address in _texts(value):
        if not split_peer(address)[1]:
            example = "/ip4/203.0.113.7/tcp/4001/p2p/12D3KooW…"
            raise ConfigError(f"{shown(address)} does not end in /p2p/<peer id>; write it like {example}")
    return _texts(value)


def _is_ip(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


def _listen(value: object) -> tuple[str, ...]:
    advice = f"is nothing to listen on; write it like {DEFAULT_LISTEN}"
    if isinstance(value, str) and not value.strip():
        raise ConfigError(f"an empty text {advice}")
    if not isinstance(value, str | Sequence):
        raise ConfigError(f"{shown(value)} {advice}")
    for address in _texts(value):
        found = re.match(r"/ip([46])/([^/]+)/tcp/(\d{1,5})(/|$)", address)
        if not found or not _is_ip(found[2], int(found[1])) or int(found[3]) > 65_535:
            raise ConfigError(f"{shown(address)} {advice}")
    return _texts(value)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        return value.lower() in ("1", "true", "yes", "on")
    raise ConfigError(f"{shown(value)} is neither true nor false")


def _seconds(value: object) -> float:
    seconds = parse_duration(value) if isinstance(value, str) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise ConfigError(f"{shown(value)} is not a duration; write it like 500ms, 30s or 1m30s")
    try:
        return float(seconds)
    except OverflowError as error:  # a whole number of hundreds of digits
        raise ConfigError(f"{shown(value)} is too long a time") from error


def parse_size(text: str) -> int:
    """Bytes of "500MB", "10 GiB" or "1048576", in powers of 1024. Raises ConfigError."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise ConfigError(f"{shown(text)} is not a size; write it like 500MB or 10GiB")
    return int(float(found[1]) * _BYTES[found[2].lower()])


def _disk(value: object) -> int:
    size = parse_size(value) if isinstance(value, str) else value
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise ConfigError(f"{shown(value)} is not a size; write it like 500MB or 10GiB, or 0 for no limit")
    if 0 < size < MIN_DISK:
        raise ConfigError(f"{shown(value)} is less than the least limit, {MIN_DISK >> 20}MB; 0 is no limit")
    return min(size, 1 << 62)


def _most(value: object) -> int:
    try:
        number = int(value) if isinstance(value, str) and len(value) < 20 else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ConfigError(f"{shown(value)} is not a number of listings; 0 is no limit")
    return min(number, 1 << 62)


def _announce_interval(value: object) -> float:
    seconds = _seconds(value)
    if seconds < MIN_ANNOUNCE_INTERVAL:
        raise ConfigError(f"{value} is shorter than the least interval of {MIN_ANNOUNCE_INTERVAL:g}s")
    return seconds


def _one_of(*choices: str) -> Callable[[object], Any]:
    def parse(value: object) -> str:
        if value not in choices:
            raise ConfigError(f"{shown(value)} is not one of {', '.join(choices)}")
        return str(value)

    return parse


def _table(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{shown(value)} is not a table; write [interface] above its settings")
    return value


def expand_home(text: str) -> Path:
    """A path in which ~ and ~user may stand for a home directory. Raises ConfigError."""
    if "\0" in text:
        raise ConfigError(f"{shown(text)} is not a path; remove the zero byte")
    path = os.path.expanduser(text)
    if text.startswith("~") and path == text:
        raise ConfigError(
            f"the home directory in {text} is not known; write the whole path, or ./{text} for a folder here"
        )
    return Path(path)


def _path(value: object) -> Path:
    return expand_home(_text(value))


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
    "listings_per_seller": _most,
    "unsigned_per_peer": _most,
    "max_disk": _disk,
    "interface": _table,
}
