"""What a person types, in the order in which it was typed.

Textual hands each key to the widget that has the focus, whose letters it takes at once; a key that is bound to an action
goes on to the parents, up to the app. Of keys that arrive together (a slow line, a burst, a script), the letters behind a
bound key would overtake it, and go where the focus was before it. So each key waits until the one before has acted."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from textual import events
from textual.app import App
from textual.message_pump import MessagePump
from textual.screen import Screen

TYPED = (events.Key, events.MouseDown, events.MouseUp, events.Paste)
"""The events that keep their order."""


class TypingOrder:
    """Deals with one key after another, by `deal`, which hands it to Textual."""

    def __init__(self, app: App[Any], deal: Callable[[events.Event], Awaitable[None]]) -> None:
        self._app, self._deal = app, deal
        self._waiting: deque[events.Event] = deque()
        self._busy = False

    @property
    def waits(self) -> bool:
        """Whether a key has not acted yet."""
        return self._busy or bool(self._waiting)

    async def take(self, event: events.Event) -> None:
        """Deal with what was typed, now or after what was typed before."""
        self._waiting.append(event)
        await self._go_on()

    async def take_first(self, typed: Iterable[events.Event]) -> None:
        """Deal with what was put off, before all that waits."""
        self._waiting.extendleft(reversed(list(typed)))
        await self._go_on()

    def handed_on(self) -> None:
        """A key was handed to Textual: others wait until it has acted."""
        self._busy = True
        self._follow(self._app.focused or self._app.screen, self._app.screen)

    async def _go_on(self) -> None:
        while self._waiting and not self._busy:
            await self._deal(self._waiting.popleft())

    def _follow(self, node: MessagePump | None, screen: Screen[Any]) -> None:
        """Go the key's way from here to the app, behind it in each queue. What is closed takes no messages: the key was
        dealt with there."""
        while node is not None and node is not self._app:
            if node.call_later(self._follow, node._parent, screen):
                return
            node = node._parent
        self._app.call_later(self._acted, screen)

    async def _acted(self, screen: Screen[Any]) -> None:
        stack = self._app.screen_stack
        if stack and stack[-1] is not screen:
            # It led to another screen, which has its focus once it has dealt with what waits there.
            self._follow(stack[-1], stack[-1])
            return
        self._busy = False
        await self._go_on()
