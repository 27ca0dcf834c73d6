"""Live access: a server that answers as NetBox does, and ones that should not be trusted."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from planner.errors import InputError
from planner.imports import live
from planner.imports.inventory import Asked
from planner.imports.live import live_lists
from planner.imports.netbox import read_netbox

TOKEN = "nbt_key.secret"


class NetBox(BaseHTTPRequestHandler):
    """Pages of an export; `next` names the host of the export, as behind a proxy."""

    export: Path
    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        parts, query = urlsplit(self.path), parse_qs(urlsplit(self.path).query)
        authorization = self.headers.get("Authorization", "")
        self.asked.append((parts.path, authorization))
        file = self.export / f"{parts.path.strip('/').split('/')[-1]}.json"
        if authorization != f"Bearer {TOKEN}":
            self.answer(403, {"detail": "Invalid v2 token"})
        elif not parts.path.startswith("/api/dcim/") or not file.exists():
            self.answer(404, {"detail": "Not found."})
        else:
            results = json.loads(file.read_bytes())["results"]
            start, size = int(query.get("offset", ["0"])[0]), 40
            after = f"http://netbox.example{parts.path}?limit={size}&offset={start + size}"
            more = after if start + size < len(results) else None
            page = results[start : start + size]
            self.answer(200, {"count": len(results), "next": more, "results": page})

    def answer(self, code: int, content: Any) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(export: Path) -> Iterator[ThreadingHTTPServer]:
    handler = type("Handler", (NetBox,), {"export": export, "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def url(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def test_netbox_is_read_live_as_from_files(server, url, export, monkeypatch):
    monkeypatch.setenv("NETBOX_TOKEN", TOKEN)
    found = read_netbox(Asked(url=f"{url}/api/"))
    assert found == read_netbox(Asked(export))
    asked = server.RequestHandlerClass.asked
    assert sum(path == "/api/dcim/power-ports/" for path, _ in asked) == 4
    assert {authorization for _, authorization in asked} == {f"Bearer {TOKEN}"}


def test_import_of_a_server_says_nothing_of_its_token(plan, url, tmp_path, monkeypatch):
    monkeypatch.setenv("NETBOX_TOKEN", TOKEN)
    ran = plan("import", "netbox", "--url", url, "-o", tmp_path / "mine.yaml", "--json")
    assert ran.code == 0
    assert sum(t["value"] for t in ran.json["totals"] if t["what"] == "GPUs") == 495
    text = (tmp_path / "mine.yaml").read_text(encoding="utf-8")
    assert "secret" not in ran.out + ran.err + text
    monkeypatch.setenv("NETBOX_TOKEN", f"{TOKEN}-old")
    ran = plan("import", "netbox", "--url", url)
    assert ran.code == 2
    assert "403 Forbidden: {'detail': 'Invalid v2 token'}" in ran.err
    assert "secret" not in ran.err


def test_lists_that_netbox_does_not_have_are_missing(url, export, tmp_path, server, monkeypatch):
    monkeypatch.setenv("NETBOX_TOKEN", TOKEN)
    old = shutil.copytree(export, tmp_path / "old", ignore=shutil.ignore_patterns("cooling-*"))
    server.RequestHandlerClass.export = old
    assert any("no cooling-sources" in f.text for f in read_netbox(Asked(url=url)).findings)
    (old / "racks.json").unlink()
    with pytest.raises(InputError, match=r"racks\.json: is missing"):
        read_netbox(Asked(url=url))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("https://user:pass@netbox.example", "expected no user, password"),
        ("ftp://netbox.example", "expected https://HOST"),
        ("netbox.example", "expected https://HOST"),
        ("https://netbox.example:port", "is no URL"),
        ("http://netbox.example", "NETBOX_TOKEN is sent over https only"),
        ("http://127.0.0.1:9", "cannot be read"),
    ],
)
def test_urls_that_are_refused(plan, asked, said, monkeypatch):
    monkeypatch.setenv("NETBOX_TOKEN", TOKEN)
    ran = plan("import", "netbox", "--url", asked)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "secret" not in ran.err


def test_what_is_no_http_is_refused():
    """A server that speaks something else."""
    with socket.create_server(("127.0.0.1", 0)) as found:

        def answer():
            connection, _ = found.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(InputError, match="cannot be read"):
            live.get(f"http://127.0.0.1:{found.getsockname()[1]}", "", {})
        thread.join()


def test_long_answers_are_refused(url, monkeypatch):
    monkeypatch.setenv("NETBOX_TOKEN", TOKEN)
    monkeypatch.setattr(live, "MOST_BYTES", 20_000)
    with pytest.raises(InputError, match="answers with more than 20,000 bytes"):
        read_netbox(Asked(url=url))


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_certificates_are_verified(server, tmp_path, monkeypatch):
    monkeypatch.setenv("NETBOX_TOKEN", TOKEN)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    secure = f"https://localhost:{server.server_port}"
    sites = partial(live_lists(Asked(url=secure)), "sites")
    with pytest.raises(InputError, match=r"(?i)certificate.verify.failed"):
        sites()
    with pytest.raises(InputError, match=r"(?i)certificate.verify.failed"):
        live.get(f"{secure}/api", TOKEN, {})
    assert server.RequestHandlerClass.asked == []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert sites()
    assert json.loads(live.get(f"{secure}/api/dcim/sites/", TOKEN, {}))["count"] == 3
