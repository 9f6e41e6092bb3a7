"""The calls of `Marketplace`, read from the protocol itself.

The control socket, the bridge to asyncio and the deferred opening pass calls on without knowing them one by one: a new
method of the protocol is a new call of theirs."""

import inspect
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, get_origin

from betar_tui.market.marketplace import Marketplace


@dataclass(frozen=True)
class Call:
    """One call: a coroutine method of `Marketplace`. `events`, which is not a coroutine, is not among them."""

    name: str

    @cached_property
    def signature(self) -> inspect.Signature:
        """The signature without `self`, its annotations evaluated."""
        signature = inspect.signature(getattr(Marketplace, self.name), eval_str=True)
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        """The type of each parameter, by name and in order."""
        return {name: parameter.annotation for name, parameter in self.signature.parameters.items()}

    @cached_property
    def required(self) -> frozenset[str]:
        """The parameters without a default."""
        return frozenset(name for name, each in self.signature.parameters.items() if each.default is each.empty)

    @property
    def result(self) -> Any:
        """The type of the result."""
        return self.signature.return_annotation

    def arguments(self, *args: object, **kwargs: object) -> dict[str, Any]:
        """The arguments by name, those with defaults included and sequences as tuples. Raises TypeError."""
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        sequences = {name for name, hint in self.parameters.items() if get_origin(hint) is Sequence}
        return {name: tuple(value) if name in sequences else value for name, value in bound.arguments.items()}


CALLS: Mapping[str, Call] = {
    name: Call(name) for name, method in vars(Marketplace).items() if inspect.iscoroutinefunction(method)
}

if TYPE_CHECKING:
    _Calls = Marketplace
else:
    _Calls = object


class ForwardedCalls(_Calls):
    """Base of a `Marketplace` that passes on, by `_call`, each call that it does not define itself.

    A type checker sees the methods of the protocol here; it takes them for abstract, hence `ignore[abstract]` where a
    subclass is instantiated."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name not in CALLS:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
            return partial(self._call, CALLS[name])

    @abstractmethod
    async def _call(self, call: Call, *args: Any, **kwargs: Any) -> Any:
        """Pass a call on; returns its result."""
