"""The hierarchy of errors that a caller may catch.

A message states the problem, its object and the next step: it is printed as it is, without a traceback. An exception
that is not a `BetarError` is a bug."""


class BetarError(Exception):
    """Base of all errors that a caller is expected to handle."""


class UsageError(BetarError):
    """The arguments of a command contradict each other."""


class InterfaceError(BetarError):
    """The interface has failed."""


class DraftError(BetarError):
    """What was typed into a form cannot be kept, or read again."""


class OutputError(BetarError):
    """The output cannot be written."""


STDOUT_CLOSED = "stdout is closed; send the output somewhere, or to /dev/null"
"""The message of an OutputError."""


class UnreadableError(BetarError):
    """A file of listings that a person has named cannot be read."""


class ConfigError(UsageError):
    """An option, a settings file or the identity key cannot be used."""


class StoreError(BetarError):
    """The replica's database cannot be used; nothing was changed."""


class StoreLockedError(StoreError):
    """Another process uses the data directory. `pid` is its process id, or 0 if unknown."""

    def __init__(self, message: str, pid: int = 0) -> None:
        super().__init__(message)
        self.pid = pid


class DecodeError(BetarError):
    """Bytes from outside do not have the expected format; their sender is to blame."""


class ListingError(BetarError):
    """A listing's fields are not valid. `field` names the first bad one."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class AlreadyListedError(ListingError):
    """The seller offers a listing of that name already: its values are right, and nothing is stored."""


class UnknownListingError(BetarError):
    """No listing has that id."""


class UnknownPeerError(BetarError):
    """No peer or seller has that id, or more than one has an id that begins so."""


class NotOwnerError(BetarError):
    """The action is allowed only to the seller of the listing."""


class FilterError(BetarError):
    """A filter cannot be parsed. `position` is the offset of the error in the text, in characters."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


class ArchiveError(BetarError):
    """A CAR file cannot be written, read or merged."""


class NetworkError(BetarError):
    """A peer cannot be reached, or refuses to speak with this one."""


class ListenError(NetworkError):
    """This peer cannot listen on `address`; `reason` is the system's."""

    def __init__(self, message: str, address: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.address = address
        self.reason = reason


class StreamEndedError(NetworkError):
    """A peer, or the loss of its connection, ended a stream."""


class ControlError(BetarError):
    """A request to the running peer of a data directory has failed."""


class UnansweredError(ControlError):
    """The running peer of a data directory does not answer, as while it is stopped."""


class NoRunningPeerError(ControlError):
    """The command needs a running peer, and the data directory has none."""
