"""Live access: JSON over HTTP(S), within limits; a token goes to the host of the URL alone."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable, Mapping
from http.client import HTTPException
from itertools import islice
from typing import Any
from urllib import request as http
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit, urlunsplit

from planner.errors import InputError, printable
from planner.files import MOST_BYTES
from planner.imports.inventory import Asked
from planner.infrastructure.source import MOST_VALUES

#: Seconds that a server may be silent.
TIMEOUT_SECONDS = 60.0
#: Objects of a page.
PAGE = 500
LOCAL = ("localhost", "127.0.0.1", "::1")
#: Places of the pages of a list, each with what reads it.
type Pages = tuple[tuple[str, Callable[[], bytes]], ...]


def token_for(url: str, variable: str) -> str:
    """The token of an environment variable, empty if there is none.

    Raises
    ------
    InputError
        If the URL is none of HTTP(S), holds a secret, or would send the token in the clear.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError.single("--url", f"is no URL: {error}") from error
    token = os.environ.get(variable, "")
    if parts.scheme not in ("http", "https") or not host:
        raise InputError.single("--url", "expected https://HOST or http://HOST, with a path if any")
    if parts.username or parts.password or parts.query or parts.fragment:
        message = f"expected no user, password, query or fragment; a token goes into {variable}"
        raise InputError.single("--url", message)
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise InputError.single(variable, "is no token: it has spaces or other characters")
    if token and parts.scheme == "http" and host not in LOCAL:
        raise InputError.single("--url", f"{variable} is sent over https only")
    return token


class _NoRedirect(http.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: a token would go along."""


def get(url: str, token: str, query: Mapping[str, str]) -> bytes:
    """What a server answers to GET.

    Raises
    ------
    InputError
        If it cannot be reached, its certificate is not valid, or it answers with an error or at
        length.
    """
    headers = {"Accept": "application/json"} | (
        {"Authorization": f"Bearer {token}"} if token else {}
    )
    secure = http.HTTPSHandler(context=ssl.create_default_context())
    opener = http.build_opener(_NoRedirect(), secure)
    request = http.Request(f"{url}?{urlencode(query)}", headers=headers)  # noqa: S310 - `token_for`
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            content: bytes = answer.read(MOST_BYTES + 1)
    except HTTPError as error:
        with error:
            said = printable(error.read(300).decode(errors="replace"))
        raise InputError.single(url, f"answers {error.code} {error.reason}: {said}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise InputError.single(url, f"cannot be read: {error}") from error
    if len(content) > MOST_BYTES:
        raise InputError.single(url, f"answers with more than {MOST_BYTES:,} bytes")
    return content


def live_lists(asked: Asked) -> Callable[[str], Pages]:
    """Reads lists of NetBox by their name, from its API.

    Raises
    ------
    InputError
        If pynetbox is not there, or the URL is no place to ask.
    """
    try:
        import requests
        from pynetbox.core.query import ContentError, Request, RequestError
    except ImportError as error:
        message = "needs pynetbox, which is not installed: pip install 'resilience-planner[netbox]'"
        raise InputError.single("--url", message) from error
    base = asked.url.rstrip("/").removesuffix("/api")
    token = token_for(base, "NETBOX_TOKEN")

    class Session(requests.Session):
        """Asks the host of the URL alone, whatever it says of other pages, and within limits."""

        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            ours, theirs = urlsplit(base), urlsplit(str(request.url))
            request.url = urlunsplit((ours.scheme, ours.netloc, *theirs[2:]))
            options |= {"timeout": TIMEOUT_SECONDS, "allow_redirects": False, "stream": True}
            content = bytearray()
            with super().send(request, **options) as answer:
                for part in answer.iter_content(2**16):
                    content += part
                    if len(content) > MOST_BYTES:
                        raise InputError.single(
                            base, f"answers with more than {MOST_BYTES:,} bytes"
                        )
            answer._content = bytes(content)
            return answer

    session = Session()
    # Otherwise passwords of ~/.netrc take the place of the token.
    session.auth = lambda request: request

    def read(name: str) -> Pages:
        url = f"{base}/api/dcim/{name}/"
        pages = Request(url, session, filters={"ordering": "id"}, limit=PAGE, token=token or None)
        try:
            results = list(islice(pages.get(), MOST_VALUES + 1))
        except RequestError as error:
            if error.req.status_code == 404:
                return ()
            raise InputError.single(url, error.message) from error
        except (requests.RequestException, ContentError) as error:
            raise InputError.single(url, f"cannot be read: {error}") from error
        text = json.dumps({"count": None, "results": results})
        return ((url, text.encode),)

    return read
