"""The page: widgets of Panel on one side, what came of them on the other."""

from __future__ import annotations

import logging
import re
import secrets
import shlex
import socket
from collections.abc import Callable, Iterable
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

from planner.errors import InputError, PlannerError
from planner.explore import results
from planner.explore.controls import Control, positions_of, settings_at
from planner.explore.planning import Planning
from planner.files import write_file
from planner.plan.files import write_plan
from planner.reporting.html.templates import asset

#: The only address that the page is served at.
LOOPBACK = "127.0.0.1"
#: Name of the baseline among the variants, and what other names are.
BASELINE, NAME = "(baseline)", re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,40}")
#: Milliseconds between two looks at what the background has done.
LOOKS = 200
WIDE = {"sizing_mode": "stretch_width"}
BACKGROUNDS = ("header_background", "active_header_background")


class Window:
    """The page in one window of a browser; all windows share what is planned."""

    def __init__(self, planning: Planning) -> None:
        # Only some versions of the library have types.
        panel: Any = import_module("panel")
        self.planning = planning
        self._seen: tuple[Any, ...] = ()
        self._told: tuple[Any, ...] = ()
        self._moving = False
        style = {"stylesheets": [asset("explore_widgets.css")]}
        make = panel.widgets
        self.sliders = {control: _slider(make, control, style) for control in planning.controls}
        label = "Other settings, one path=value on a line"
        self.other = make.TextAreaInput(name=label, rows=3, **WIDE, **style)
        self.scenario = make.Select(name="Scenario", **WIDE, **style)
        self.name = make.TextInput(name="Name of the variant", **style)
        self.variant = make.Select(name="Variant", options=[BASELINE], **style)
        sheets = [asset("report.css") + asset("explore.css")]
        self.panes = {
            name: panel.pane.HTML("", stylesheets=sheets, margin=0, **WIDE)
            for name in ("status", "summary", "said", "kept", "compared", "matrix", "story")
        }
        keep, export, show, rebase, reset = (
            make.Button(name=name, on_click=lambda _, act=act: act(), **style)
            for name, act in (
                ("Keep this variant", self._keep),
                ("Write it as a model file", self._export),
                ("Show it", self._take),
                ("Make what is seen the baseline", self._rebase),
                ("Back to the model", lambda: self._go(())),
            )
        )
        for widget in (*self.sliders.values(), self.other):
            # A slider tells where it is let go, not every place that it passes.
            value = "value_throttled" if hasattr(widget, "value_throttled") else "value"
            widget.param.watch(lambda _: self._moved(), value)
        self.scenario.param.watch(lambda _: self._tell(), "value")
        groups = [
            (group, panel.Column(*(self.sliders[one] for one in listed), **WIDE))
            for group, listed in groupby(planning.controls, lambda one: one.group)
        ]
        colours = {"header_color": "var(--fg)", **dict.fromkeys(BACKGROUNDS, "var(--panel)")}
        folded = panel.Accordion(*groups, active=[0, 1], **colours, **WIDE, **style)
        self.template = panel.Template(asset("explore.html").replace("/*style*/", sheets[0]))
        places = {
            **self.panes,
            "controls": panel.Column(folded, self.other, reset, **WIDE),
            "scenario": self.scenario,
            "variants": panel.FlexBox(self.name, keep, export, self.variant, show, rebase),
        }
        for name, place in places.items():
            self.template.add_panel(name, place)
        self.template.add_variable("model", planning.model)
        self._move_to(planning.asked)
        self.look()
        panel.state.add_periodic_callback(self.look, LOOKS)

    def _moved(self) -> None:
        """Plan for where the controls are."""
        if not self._moving:
            moved = settings_at({one: float(at.value) for one, at in self.sliders.items()})
            others = (line.strip() for line in self.other.value.splitlines())
            self.planning.ask((*moved, *filter(None, others)))

    def _move_to(self, settings: Iterable[str]) -> None:
        """Move controls to settings, without planning for them."""
        positions, rest = positions_of(self.planning.controls, settings)
        self._moving = True
        for control, slider in self.sliders.items():
            value = positions.get(control, control.start)
            slider.value = bool(value) if control.kind == "switch" else value
        self.other.value = "\n".join(rest)
        self._moving = False

    def _go(self, settings: tuple[str, ...]) -> None:
        self._move_to(settings)
        self.planning.ask(settings)

    def _take(self) -> None:
        """Show a variant, or the baseline."""
        chosen = self.planning.variants.get(self.variant.value, self.planning.baseline)
        if chosen is not None:
            self._move_to(chosen.settings)
            self.planning.ask(chosen.settings, chosen)

    def _place(self, ending: str = "") -> Path:
        """Where the variant that is named goes; nothing is overwritten."""
        name = self.name.value.strip()
        place = self.planning.folder / f"{name}{ending}"
        if not NAME.fullmatch(name):
            message = "expected letters, digits and `_ . -`, the first a letter or digit"
            raise InputError.single("name of the variant", message)
        if place.exists():
            raise InputError.single(str(place), "is there already; take another name")
        return place

    def _say(self, tone: str, line: object) -> None:
        self.panes["said"].object = results.rendered("said", lines=[line], tone=tone)

    def _export(self) -> None:
        """Write where the controls are as a model file, whether or not there is a plan for it."""
        planning = self.planning
        try:
            file = self._place(".yaml")
            planning.folder.mkdir(parents=True, exist_ok=True)
            text = results.extending_file(planning.model, planning.asked, file)
            write_file(text.encode(), file)
        except (OSError, PlannerError) as error:
            self._say("bad", error)
        else:
            self._say("good", f"wrote {file}; `{shlex.join(['plan', 'check', str(file)])}`")

    def _keep(self) -> None:
        """Keep what is seen as a plan on disk and in the list."""
        answer, name = self.planning.answer, self.name.value.strip()
        try:
            place = self._place()
            if answer is None or not answer.final or answer.settings != self.planning.asked:
                raise InputError.single(name, "is still being planned; wait until it is done")
            if answer.plan is None:
                raise InputError.single(name, "there is no plan to keep")
            file = write_plan(answer.plan, place)[-1]
        except PlannerError as error:
            self._say("bad", error)
            return
        self.planning.variants[name] = answer
        opened = shlex.join(["plan", "explore", str(place)])
        self._say("good", f"wrote {file}; `{opened}` opens it again")

    def _rebase(self) -> None:
        answer = self.planning.answer
        if answer is not None and answer.plan is not None:
            self.planning.baseline = answer

    def look(self) -> None:
        """Show progress, and what is new."""
        planning, panes = self.planning, self.panes
        answer, baseline = planning.answer, planning.baseline
        done = f"Done in {answer.seconds:.1f} s." if answer and answer.final else ""
        status = results.rendered("status", progress=planning.progress.strip(), done=done)
        if panes["status"].object != status:
            panes["status"].object = status
        seen = answer, baseline, len(planning.variants)
        if answer is None or seen == self._seen:
            return
        self._seen, plan = seen, answer.plan
        panes["summary"].object = results.summary(answer, baseline, planning.model)
        panes["compared"].object = results.compared(answer, baseline)
        panes["kept"].object = results.variant_table(planning.variants).html()
        panes["matrix"].object = results.matrix(plan).html() if plan else ""
        self.variant.options = [BASELINE, *planning.variants]
        names = [line.name for line in results.worst_lines(plan)] if plan else []
        before = self.scenario.value
        self.scenario.options = names
        self.scenario.value = before if before in names else next(iter(names), None)
        self._tell()

    def _tell(self) -> None:
        """Tell the story of the chosen scenario, once for each answer."""
        answer, name = self.planning.answer, self.scenario.value
        if (answer, name) != self._told:
            self._told = answer, name
            self.panes["story"].object = results.story(answer, name) if answer and name else ""


def _slider(make: Any, control: Control, style: dict[str, Any]) -> Any:
    """The widget of a control."""
    if control.kind == "switch":
        return make.Checkbox(name=control.label, value=True, **style)
    unit = {"factor": ", % of the model", "share": ", %"}.get(control.kind, "")
    return make.FloatSlider(
        name=f"{control.label}{unit}",
        start=control.low,
        end=control.high,
        step=control.step,
        value=control.start,
        format="0[.]0",
        margin=(4, 14),
        **WIDE,
        **style,
    )


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


def serve(planning: Planning, port: int, say: Callable[[str], None]) -> None:
    """Serve the page on the loopback address until interrupted.

    Parameters
    ----------
    say
        Told the address, with the token that it needs.
    """
    panel: Any = import_module("panel")
    from bokeh.server.auth_provider import AuthProvider
    from tornado.web import HTTPError

    token, cookie = secrets.token_urlsafe(24), f"plan-explore-{port}"

    def user_of(handler: Any) -> str:
        """Let in who knows the token, from the address or, once let in, from the cookie."""
        kept = handler.get_cookie(cookie, "")
        known = handler.get_query_argument("token", kept)
        if not secrets.compare_digest(known.encode(), token.encode()):
            raise HTTPError(403)
        if kept != token:
            handler.set_cookie(cookie, token, httponly=True, samesite="Strict")
        return "explorer"

    class ByToken(AuthProvider):
        """Whoever has the token."""

        get_user = property(lambda _: user_of)
        login_url = property(lambda _: "/never")

    # Nobody has to be told of requests; they may hold a token.
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    panel.extension(notifications=False)
    server = panel.serve(
        {"/": lambda: Window(planning).template},
        address=LOOPBACK,
        port=port,
        websocket_origin=[f"{LOOPBACK}:{port}"],
        auth_provider=ByToken(),
        title=f"{planning.model}: what if",
        show=False,
        start=False,
        verbose=False,
    )
    say(f"http://{LOOPBACK}:{port}/?token={token}")
    try:
        server.start()
        server.io_loop.start()
    except KeyboardInterrupt:
        planning.stop()
