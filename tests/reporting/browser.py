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
