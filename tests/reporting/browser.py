"""A headless Chromium for tests of pages, cut off from everything but the page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: The browser; None where there is none.
PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass
class Opened:
    """A page in the browser, with what it complained about and asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator[Any]:
    """The installed Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: Any, path: Path, **context: Any) -> Opened:
    """Open a file; every other request is refused and noted."""
    page = browser.new_context(**context).new_page()
    opened = Opened(page)
    page.on("console", lambda one: opened.complaints.append(f"{one.type}: {one.text}"))
    page.on("pageerror", lambda one: opened.complaints.append(f"error: {one}"))
    page.on("dialog", lambda one: opened.complaints.append(f"dialog: {one.message}"))

    def answer(route: Any) -> None:
        if route.request.url.partition("#")[0] == path.as_uri():
            route.continue_()
        else:
            opened.requests.append(route.request.url)
            route.abort()

    page.route("**/*", answer)
    page.goto(path.as_uri())
    return opened


def until(page: Any, expression: str) -> None:
    """Wait until an expression of JavaScript is true.

    Asked again and again from outside: the page's own policy forbids evaluation from within.
    """
    for _ in range(250):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never true: {expression}")


#: Elements that reach beyond the page, but for what scrolls or is drawn within its own box.
WIDER = """() => [...document.body.querySelectorAll("*")].filter(e =>
    !e.closest(".scroll *, nav ul *, svg *, .visually-hidden, .skip") && e.checkVisibility() &&
    e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
).map(e => e.outerHTML.slice(0, 120))"""

#: Texts whose contrast with the background behind them is below that of WCAG 2.1 level AA.
FAINT = """() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = rgb => {
    const [r, g, b] = rgb.slice(0, 3).map(c => c / 255)
      .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = e => {
    for (; e; e = e.parentElement) {
      const found = parts(getComputedStyle(e).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  return [...document.body.querySelectorAll("*")].filter(e => e.checkVisibility() &&
    !e.closest("svg, .visually-hidden, .skip") &&
    [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())
  ).filter(e => {
    const style = getComputedStyle(e);
    const [dark, bright] = [light(parts(style.color)), light(behind(e))].sort((a, b) => a - b);
    const large = parseFloat(style.fontSize) >= 24;
    return (bright + 0.05) / (dark + 0.05) < (large ? 3 : 4.5);
  }).map(e => e.outerHTML.slice(0, 120));
}"""
