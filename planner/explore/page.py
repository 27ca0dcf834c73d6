"""The page: widgets of Panel on one side, what came of them on the other."""

from __future__ import annotations

import logging
import secrets
import socket
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

from planner.errors import InputError, PlannerError
from planner.explore import results, variants
from planner.explore.controls import Control, controls_of, positions_of, settings_at
from planner.explore.planning import Answer, Planning
from planner.infrastructure.loading import LoadedModel
from planner.reporting.html.templates import asset

MISSING_EXTRA = "needs {0}, which is not installed: pip install 'resilience-planner[explore]'"
#: The only address that the page is served at.
LOOPBACK = "127.0.0.1"
#: Name of the baseline among the variants.
BASELINE = "(baseline)"
#: Milliseconds between two looks at what the background has done.
LOOKS = 200


def check_extra() -> None:
    """Check before long work that the page can be made.

    Raises
    ------
    InputError
        If a library is missing; names the extra.
    """
    for module in ("panel", "jinja2"):
        try:
            import_module(module)
        except ImportError as error:
            raise InputError.single("plan explore", MISSING_EXTRA.format(module)) from error


def _panel() -> Any:
    """The library, which only some of its versions give types."""
    return import_module("panel")


class Exploration:
    """What all windows of the page share: model, answers, variants.

    Parameters
    ----------
    named
        The model as commands take it.
    loaded
        The model without settings: what controls start from.
    begun
        The plan that is the baseline; None for the first that is made.
    """

    def __init__(
        self,
        named: str,
        loaded: LoadedModel,
        planning: Planning,
        folder: Path,
        begun: Answer | None = None,
    ) -> None:
        self.named, self.loaded, self.planning, self.folder = named, loaded, planning, folder
        self.controls = controls_of(loaded.model)
        self.settings: tuple[str, ...] = ()
        self.baseline = begun
        if begun is not None:
            planning.know(begun)
        self.variants: dict[str, Answer] = dict(variants.kept_in(folder, loaded))

    def ask(self, settings: tuple[str, ...]) -> None:
        """Plan with these settings."""
        self.settings = settings
        self.planning.ask(settings)

    def look(self) -> Answer | None:
        """The newest answer; the first that has a plan is the baseline."""
        answer = self.planning.answer
        if answer is not None and answer.plan is not None:
            begun = self.baseline
            if begun is None or (not begun.final and begun.settings == answer.settings):
                self.baseline = answer
        return answer


class Window:
    """The page in one window of a browser."""

    def __init__(self, exploration: Exploration) -> None:
        pn = _panel()

        look: dict[str, Any] = {"stylesheets": [asset("explore_widgets.css")]}
        wide = look | {"sizing_mode": "stretch_width"}
        self.exploration = exploration
        self._shown: tuple[Any, ...] = ()
        self._played: tuple[Any, ...] = ()
        self._quiet = False
        self.sliders = {control: _slider(control) for control in exploration.controls}
        self.other = pn.widgets.TextAreaInput(
            name="Other settings, one path=value on a line", rows=3, **wide
        )
        self.status, self.summary, self.matrix, self.story, self.compared, self.kept = (
            _pane() for _ in range(6)
        )
        self.scenario = pn.widgets.Select(name="Scenario", **wide)
        self.name = pn.widgets.TextInput(
            name="Name of the variant", placeholder="more-demand", **look
        )
        self.keep = pn.widgets.Button(name="Keep this variant", button_type="primary", **look)
        self.chosen = pn.widgets.Select(name="Variant", options=[BASELINE], **look)
        self.take = pn.widgets.Button(name="Show it", **look)
        self.as_baseline = pn.widgets.Button(name="Make what is seen the baseline", **look)
        self.reset = pn.widgets.Button(name="Back to the model", **look)
        self.said = _pane()
        self._move_to(exploration.settings)
        for slider in (*self.sliders.values(), self.other):
            # Where there is a choice: not while a slider is dragged, but once it is let go.
            value = "value_throttled" if hasattr(slider, "value_throttled") else "value"
            slider.param.watch(lambda _: self._moved(), value)
        self.scenario.param.watch(lambda _: self._tell(), "value")
        self.keep.on_click(lambda _: self._keep())
        self.take.on_click(lambda _: self._take())
        self.as_baseline.on_click(lambda _: self._rebase())
        self.reset.on_click(lambda _: self._go(()))

    def template(self) -> Any:
        """Everything in its place."""
        pn = _panel()

        wide = {"sizing_mode": "stretch_width", "stylesheets": [asset("explore_widgets.css")]}

        groups = [
            (group, pn.Column(*(self.sliders[one] for one in listed), sizing_mode="stretch_width"))
            for group, listed in groupby(self.exploration.controls, lambda one: one.group)
        ]
        page = pn.Template(asset("explore.html").replace("/*style*/", _style()))
        for name in ("status", "summary", "matrix", "story", "compared", "kept", "said"):
            page.add_panel(name, getattr(self, name))
        page.add_panel(
            "controls",
            pn.Column(
                pn.Accordion(
                    *groups,
                    active=[0, 1],
                    header_color="var(--fg)",
                    header_background="var(--panel)",
                    active_header_background="var(--panel)",
                    **wide,
                ),
                self.other,
                self.reset,
                sizing_mode="stretch_width",
            ),
        )
        page.add_panel("scenario", self.scenario)
        page.add_panel(
            "variants",
            pn.FlexBox(self.name, self.keep, self.chosen, self.take, self.as_baseline),
        )
        page.add_variable("model", self.exploration.named)
        self.look()
        pn.state.add_periodic_callback(self.look, LOOKS)
        return page

    # ------------------------------------------------------------------------ from page to planning
    def _moved(self) -> None:
        """Plan for where the controls are."""
        if not self._quiet:
            positions = {control: float(w.value) for control, w in self.sliders.items()}
            moved = settings_at(self.exploration.controls, positions)
            others = (line.strip() for line in self.other.value.splitlines())
            self.exploration.ask((*moved, *filter(None, others)))
            self.look()

    def _move_to(self, settings: Iterable[str]) -> None:
        """Move controls to settings, without planning for them."""
        positions, rest = positions_of(self.exploration.controls, settings)
        self._quiet = True
        for control, widget in self.sliders.items():
            value = positions.get(control, control.start)
            widget.value = bool(value) if control.kind == "switch" else value
        self.other.value = "\n".join(rest)
        self._quiet = False

    def _go(self, settings: tuple[str, ...]) -> None:
        self._move_to(settings)
        self.exploration.ask(settings)
        self.look()

    def _take(self) -> None:
        """Show a variant, or the baseline."""
        exploration = self.exploration
        known = {BASELINE: exploration.baseline, **exploration.variants}
        answer = known.get(self.chosen.value)
        if answer is not None:
            exploration.planning.know(answer)
            self._go(answer.settings)

    def _keep(self) -> None:
        """Keep what is seen, on disk and in the list."""
        answer, name = self.exploration.planning.answer, self.name.value.strip()
        try:
            if answer is None or not answer.final or answer.settings != self.exploration.settings:
                raise InputError.single(name, "is still being planned; wait until it is done")
            told = variants.keep(name, answer, self.exploration.folder)
        except PlannerError as error:
            problems = error.problems if isinstance(error, InputError) else (error,)
            self.said.object = results.said([str(problem) for problem in problems], good=False)
            return
        self.exploration.variants[name] = answer
        self.said.object = results.said(told)
        self.look()

    def _rebase(self) -> None:
        answer = self.exploration.planning.answer
        if answer is not None and answer.plan is not None:
            self.exploration.baseline = answer
            self.look()

    # ------------------------------------------------------------------------ from planning to page
    def look(self) -> None:
        """Show progress, and what is new."""
        exploration = self.exploration
        answer, progress = exploration.look(), exploration.planning.progress
        status = results.status(answer, progress)
        if self.status.object != status:
            self.status.object = status
        state = answer, exploration.baseline, len(exploration.variants)
        if answer is None or state == self._shown:
            return
        self._shown, baseline = state, exploration.baseline
        self.summary.object = results.summary(answer, baseline, exploration.named)
        self.compared.object = results.compared(answer, baseline) if baseline else ""
        self.kept.object = results.variant_table(exploration.variants, baseline).html()
        self.chosen.options = [BASELINE, *exploration.variants]
        if answer.plan is None:
            self.matrix.object, self.scenario.options = "", []
        else:
            self.matrix.object = results.matrix(answer.plan).html()
            names = list(results.worst_lines(answer.plan))
            self.scenario.options = names
            if self.scenario.value not in names and names:
                self.scenario.value = names[0]
        self._tell()

    def _tell(self) -> None:
        """Tell the story of the chosen scenario, once for each answer."""
        answer, name = self.exploration.planning.answer, self.scenario.value
        if (answer, name) != self._played:
            self._played = answer, name
            played = answer.played(name) if answer is not None and name else None
            self.story.object = results.story(played)


def _slider(control: Control) -> Any:
    """The widget of a control."""
    pn = _panel()

    look = [asset("explore_widgets.css")]
    if control.kind == "switch":
        return pn.widgets.Checkbox(name=control.label, value=True, stylesheets=look)
    unit = {"factor": ", % of the model", "share": ", %"}.get(control.kind, "")
    return pn.widgets.FloatSlider(
        name=f"{control.label}{unit}",
        start=control.low,
        end=control.high,
        step=control.step,
        value=control.start,
        format="0[.]0",
        sizing_mode="stretch_width",
        margin=(4, 14),
        stylesheets=look,
    )


@cache
def _style() -> str:
    """Style of the report, and what the page adds to it."""
    return asset("report.css") + asset("explore.css")


def _pane() -> Any:
    """A place for a fragment of HTML, in the style of the report."""
    pn = _panel()

    return pn.pane.HTML("", stylesheets=[_style()], sizing_mode="stretch_width", margin=0)


def free_port(port: int) -> int:
    """The port, or any free one for 0.

    Raises
    ------
    InputError
        If something else listens there, or it may not be used.
    """
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((LOOPBACK, port))
            return int(probe.getsockname()[1])
    except OSError as error:
        message = f"port {port} cannot be used: {error.strerror}; 0 takes any free one"
        raise InputError.single("--port", message) from error


def serve(exploration: Exploration, port: int, show: bool, say: Callable[[str], None]) -> None:
    """Serve the page on the loopback address until interrupted.

    Parameters
    ----------
    port
        Where to listen.
    show
        Whether to open it in a browser.
    say
        Told the address, with the token that it needs.
    """
    pn = _panel()
    from bokeh.server.auth_provider import AuthProvider
    from tornado.web import HTTPError

    token, cookie = secrets.token_urlsafe(24), f"plan-explore-{port}"

    def user_of(handler: Any) -> str:
        """Let in who knows the token, from the address or, once let in, from the cookie."""
        given = handler.get_query_argument("token", "")
        known = given or handler.get_cookie(cookie, "")
        if not secrets.compare_digest(known.encode(), token.encode()):
            raise HTTPError(403)
        if given:
            handler.set_cookie(cookie, token, httponly=True, samesite="Strict")
        return "explorer"

    class ByToken(AuthProvider):
        """Whoever has the token."""

        get_user = property(lambda _: user_of)
        login_url = property(lambda _: "/never")

    # Nobody has to be told of requests; they may hold a token.
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    pn.extension(notifications=False)
    server = pn.serve(
        {"/": lambda: Window(exploration).template()},
        address=LOOPBACK,
        port=port,
        websocket_origin=[f"{LOOPBACK}:{port}"],
        auth_provider=ByToken(),
        title=f"{exploration.named}: what if",
        show=False,
        start=False,
        verbose=False,
    )
    address = f"http://{LOOPBACK}:{port}/?token={token}"
    say(address)
    if show:
        import webbrowser

        webbrowser.open(address)
    try:
        server.start()
        server.io_loop.start()
    except KeyboardInterrupt:
        exploration.planning.stop()
