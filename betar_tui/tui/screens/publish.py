"""The form for a new listing, and for changing an own one."""

from functools import partial
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static, TextArea

from betar_tui.errors import BetarError, ListingError
from betar_tui.market.fields import ENTERED, Field
from betar_tui.market.marketplace import Listing, Receipt
from betar_tui.market.text import neutralise
from betar_tui.tui import form
from betar_tui.tui import format as fmt
from betar_tui.tui.context import ScreenContext
from betar_tui.tui.drafts import Drafts
from betar_tui.tui.form import FormValues
from betar_tui.tui.keybindings import bindings
from betar_tui.tui.model import News
from betar_tui.tui.overtaking import merge
from betar_tui.tui.screens.dialogues import ConfirmScreen, ConflictScreen
from betar_tui.tui.screens.model_screen import ModelScreen
from betar_tui.tui.widgets.keyline import KeyLine
from betar_tui.tui.widgets.status import StatusBar
from betar_tui.tui.workers import start


class FieldText(TextArea):
    """A field of several lines. Tab goes to the next field, as in the fields of one line."""

    def __init__(self, spec: Field) -> None:
        super().__init__(id=f"field-{spec.name}", compact=True, tab_behavior="focus", placeholder=spec.hint)
        self.styles.height = spec.lines

    def fill(self, text: str) -> None:
        """Put a text into the field, and the cursor after it, as in the fields of one line."""
        self.load_text(text)
        self.move_cursor(self.document.end)


class FormScreen(ModelScreen[tuple[str, Receipt] | None]):
    """Fields with their problems under them; the first attempt to send shows all, later ones follow the typing.

    Its result is the name that was sent, with the receipt; or None. What is typed is kept in `drafts` until it is sent."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("form", first=True),
        Binding("tab", "app.focus_next", "Next field", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", "Previous field", show=False, priority=True),
    ]
    SCOPE = "form"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]

    def __init__(self, context: ScreenContext, drafts: Drafts, listing: Listing | None = None) -> None:
        super().__init__(context)
        self._bridge, self._drafts = context.bridge, drafts
        self._listing = listing
        self._key = listing.id if listing else ""
        now = form.of_listing(listing) if listing else form.blank(context.model.status)
        # Of a field that was changed earlier, the edit began with the text of then; another device may have changed it.
        self._prefilled = {**now, **form.begun_with(drafts.get(self._key))}
        self._checked: set[str] = set()
        self._objections: dict[str, tuple[str, str]] = {}
        self._sending = self._sent = False
        self._counts = False  # whether the foot says how many fields are to correct, as from the first try to send
        self._overtaken = self._prefilled != now

    def compose(self) -> ComposeResult:
        draft = form.typed(self._drafts.get(self._key))
        start = {**self._prefilled, **draft}
        yield StatusBar(self._model, self._options.title)
        with VerticalScroll(id="form", can_focus=False):
            yield Static(self._headline(bool(draft)), id="form-title")
            for spec in ENTERED:
                with Horizontal(classes="field"):
                    yield Static(f"{spec.label}, {spec.unit}" if spec.unit else spec.label, classes="field-label")
                    with Vertical(classes="field-body"):
                        yield self._widget(spec, start[spec.name])
                        yield Static("", classes="field-problem", id=f"problem-{spec.name}")
        with Horizontal(id="form-buttons"):
            keys = self._model.keys
            verb = "Save" if self._listing else "Publish"
            yield Button(Content(f"{verb} ({keys.name('submit')})"), variant="primary", id="send", compact=True)
            yield Button(Content(f"Keep as draft ({keys.name('leave')})"), id="leave", compact=True)
            yield Button("Start over", id="reset", compact=True)
        yield Static("", id="form-verdict")
        yield KeyLine(self._model)

    def on_mount(self) -> None:
        for spec in ENTERED:
            self.query_one(f"#problem-{spec.name}").display = False
        self._show_problems()
        self.query_one("#field-name").focus()

    # The fields

    def values(self) -> FormValues:
        """The values in the fields."""
        texts: FormValues = {}
        for spec in ENTERED:
            widget = self.query_one(f"#field-{spec.name}")
            texts[spec.name] = widget.text if isinstance(widget, TextArea) else self._input(spec.name).value
        return texts

    def _input(self, name: str) -> Input:
        return self.query_one(f"#field-{name}", Input)

    def _widget(self, spec: Field, text: str) -> Input | FieldText:
        if spec.lines == 1:
            return Input(text, placeholder=spec.hint, compact=True, id=f"field-{spec.name}", select_on_focus=False)
        area = FieldText(spec)
        area.fill(text)
        return area

    def _headline(self, restored: bool) -> Content:
        title = f"Edit {neutralise(self._listing.name, 60)}" if self._listing else "Publish a listing"
        overtaken = "  ! changed on another device meanwhile: both are shown when you save" if self._overtaken else ""
        return Content.assemble(
            (title, "bold"), ("  your draft is back" if restored else "", "$text-accent"), (overtaken, "$text-warning")
        )

    def _fill(self, values: FormValues) -> None:
        for name, text in values.items():
            widget = self.query_one(f"#field-{name}")
            if isinstance(widget, TextArea):
                self.query_one(f"#field-{name}", FieldText).fill(text)
            else:
                self._input(name).value = text

    # Checking

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _edited(self) -> None:
        self._show_problems()
        self._keep_draft()

    def _keep_draft(self) -> None:
        """Keep what was typed, field by field: the others follow the listing, and this peer's addresses."""
        if not self._sent:
            self._drafts.keep(self._key, form.kept(self.values(), self._prefilled, edit=self._listing is not None))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Mark the field that has the focus: without colours its ground does not show it."""
        for field in self.query(".field"):
            field.set_class(field in event.widget.ancestors, "-current")

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """From now on check the field that lost the focus, unless it is empty."""
        name = (event.widget.id or "").removeprefix("field-")
        if name in form.FIELD_NAMES and self.values()[name].strip():
            self._checked.add(name)
            self._show_problems()

    def _show_problems(self) -> dict[str, str]:
        values = self.values()
        problems = form.problems(values)
        for name, (text, objection) in self._objections.items():
            if values[name] == text:
                problems.setdefault(name, objection)
        for spec in ENTERED:
            label = self.query_one(f"#problem-{spec.name}", Static)
            problem = problems.get(spec.name, "") if spec.name in self._checked else ""
            warning = form.warning(values, self._model.status) if spec.name == "addrs" and not problem else ""
            label.update(Content(f"✗ {problem}") if problem else Content.assemble((warning, "$text-warning")))
            label.display = bool(problem or warning)
        shown = [name for name in problems if name in self._checked]
        if not self._sending and (self._counts or not shown):
            self._show_count(len(shown))
        return problems

    def _show_count(self, problems: int) -> None:
        self._show_verdict(f"✗ {fmt.plural(problems, 'field')} to correct" if problems else "", "$text-error")

    # Sending

    def action_submit(self) -> None:
        """Check all fields, then send."""
        if self._sending or not self.is_active:
            return
        self._checked, self._counts = set(form.FIELD_NAMES), True
        self._objections.clear()
        problems = self._show_problems()
        if problems:
            first = next(spec.name for spec in ENTERED if spec.name in problems)
            self.query_one(f"#field-{first}").focus()
            return
        self._sending = True
        self._show_verdict("◌ storing…", "dim")
        start(self, partial(self._send, self.values()))

    async def _send(self, values: FormValues) -> None:
        try:
            receipt = await (self._update(values, self._listing) if self._listing else self._publish(values))
        except ListingError as error:
            self._problem(error.field, str(error))
        except BetarError as error:
            self._show_verdict(f"✗ {self._gone() or neutralise(str(error), 200)}", "$text-error")
        else:
            if receipt is not None:
                self._close((neutralise(self.values()["name"].strip(), 60), receipt))
        finally:
            self._sending = False

    def _gone(self) -> str:
        """What to do where the peer is gone and can run here; empty if that is not so."""
        keys = self._model.keys
        way = f"{keys.name('leave')} keeps this as a draft, then {keys.name('go_online')} runs the peer here"
        return f"the peer is gone: {way}" if self._model.gone else ""

    def _close(self, result: tuple[str, Receipt] | None) -> None:
        self._sent = True
        self._drafts.keep(self._key, {})
        # The help may be above the form, and only the screen on top can be dismissed.
        self.pop_until_active()
        self.dismiss(result)

    async def _publish(self, values: FormValues) -> Receipt:
        (receipt,) = await self._bridge.publish([form.draft(values, self._prefilled)])
        return receipt

    async def _update(self, values: FormValues, listing: Listing) -> Receipt | None:
        """Send what the edit changes; None where that is nothing, or the person goes back to it."""
        rebased = await self._rebase(values, listing)
        if rebased is None:
            self._show_verdict("not saved yet", "$text-warning")
            return None
        if (patch := form.patch(rebased, self._prefilled)) is not None:
            return await self._bridge.update(listing.id, patch)
        if rebased == values:
            self._show_verdict("nothing is changed", "$text-warning")
        else:
            self._actions.notify("The listing stays as the other device has made it")
            self._close(None)
        return None

    async def _rebase(self, values: FormValues, listing: Listing) -> FormValues | None:
        """The edit on top of what another device has made of the listing meanwhile; None if the person goes back to it.

        Raises BetarError."""
        (fresh,) = await self._bridge.find((listing.id,)) or (listing,)
        theirs = form.of_listing(fresh)
        if theirs == self._prefilled:
            return values
        merged = merge(self._prefilled, values, theirs)
        values = dict(merged.values)
        for conflict in merged.conflicts:
            mine = await self.app.push_screen_wait(ConflictScreen(conflict.label, conflict.mine, conflict.theirs))
            if mine is None:
                return None
            if not mine:
                values[conflict.name] = conflict.theirs
        self._prefilled, self._listing = theirs, fresh
        self._fill(values)
        if merged.taken:
            fields = ", ".join(label.lower() for label in merged.taken)
            self._actions.notify(f"Changed on another device meanwhile, and kept: {fields}")
        return values

    def sync(self, news: News) -> None:
        """Say so as soon as another device has changed the listing; what becomes of it is asked when the edit is sent."""
        super().sync(news)
        now = self._model.own.get(self._key) if self._key in news.ids and not self._sending else None
        if now is not None and form.of_listing(now) != self._prefilled:
            self._overtaken = True
            self.query_one("#form-title", Static).update(self._headline(False))

    def _problem(self, field: str, message: str) -> None:
        """Show an objection of the peer at its field."""
        names = {"seller_id": "", "id": "name"}
        name = names.get(field, field)
        text = neutralise(message, 200)
        if name in form.FIELD_NAMES:
            # It stays until the field is changed: only the peer can check it.
            self._objections[name] = (self.values()[name], text)
            self._show_count(len(self._show_problems()))
            self.query_one(f"#field-{name}").focus()
        else:
            self._show_verdict(f"✗ {text}", "$text-error")

    def _show_verdict(self, text: str, style: str = "") -> None:
        verdict = self.query_one("#form-verdict", Static)
        verdict.update(Content.assemble((text, style)))
        verdict.display = bool(text)

    # Leaving

    def action_leave(self) -> None:
        # Leaving while it is sent would cancel the worker, and the outcome of storing the listing would be lost.
        if self._sending or not self.is_active:
            return
        self._keep_draft()
        self.dismiss(None)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "send":
            self.action_submit()
        elif event.button.id == "leave":
            self.action_leave()
        else:
            self._ask_to_start_over()

    def _ask_to_start_over(self) -> None:
        """Ask once, unless nothing would be lost."""
        if self.values() == self._prefilled:
            self._start_over()
            return

        def answered(yes: bool | None) -> None:
            if yes and not self._sending:
                self._start_over()

        consequence = "What you have typed here is thrown away."
        self.app.push_screen(ConfirmScreen("Start over?", consequence, "Start over", "Keep it"), answered)

    def _start_over(self) -> None:
        self._drafts.keep(self._key, {})
        self._checked.clear()
        self._objections.clear()
        self._counts = False
        if self._listing:
            self._listing = self._model.own.get(self._key) or self._listing
            self._prefilled, self._overtaken = form.of_listing(self._listing), False
        self._fill(self._prefilled)
        self._show_problems()
        self.query_one("#form-title", Static).update(self._headline(False))
        self.query_one("#field-name").focus()

    @on(Input.Submitted)
    def _next_field(self) -> None:
        self.focus_next()
