"""Who gets in, and who does not."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from asmd.web.gate import OWNER, OWNER_KEY, TOKEN, Gate, is_loopback


def client(token: str | None = None, host: str = "http://127.0.0.1:8080") -> TestClient:
    app = FastAPI()

    @app.get("/{path:path}")
    def page(path: str, request: Request) -> dict[str, Any]:
        return {"owner": request.scope[OWNER_KEY], "query": str(request.query_params)}

    @app.websocket("/ws")
    async def wire(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.scope[OWNER_KEY])
        await socket.close()

    app.add_middleware(Gate, token=token)
    return TestClient(app, base_url=host, follow_redirects=False)


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        *((host, True) for host in ("127.0.0.1", "localhost", "::1", "127.8.9.1")),
        *((host, False) for host in ("0.0.0.0", "::", "192.168.1.4", "example.org", "localhost.example.org", "")),
    ],
)
def test_loopback(host: str, ours: bool) -> None:
    assert is_loopback(host) is ours


def test_each_browser_has_a_secret_of_its_own() -> None:
    first, second = client(), client()
    owner = first.get("/").json()["owner"]
    assert len(owner) >= 32
    assert first.get("/").json()["owner"] == owner != second.get("/").json()["owner"]
    cookie = second.get("/", headers={"cookie": ""}).headers["set-cookie"]
    assert cookie.startswith(f"{OWNER}=") and "HttpOnly" in cookie and "SameSite=Strict" in cookie


def test_a_foreign_name_for_this_machine_is_refused() -> None:
    """DNS rebinding: a page of another site whose name has come to mean 127.0.0.1."""
    assert client().get("/", headers={"host": "evil.example:8080"}).status_code == 403
    assert client().get("/", headers={"host": "localhost:8080"}).status_code == 200


def test_a_foreign_origin_is_refused() -> None:
    ours = client()
    assert ours.get("/", headers={"origin": "http://evil.example"}).status_code == 403
    assert ours.get("/", headers={"origin": "http://127.0.0.1:8080"}).status_code == 200
    with pytest.raises(WebSocketDisconnect), ours.websocket_connect("/ws", headers={"origin": "http://evil.example"}):
        pass


def test_nothing_is_loaded_from_outside() -> None:
    policy = client().get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy and "http" not in policy and "*" not in policy


def test_a_token_is_asked_for_and_then_remembered() -> None:
    far = client("sesame", "http://192.168.1.4:8080")
    assert far.get("/").status_code == 401
    assert far.get("/?token=wrong").status_code == 401
    assert far.get("/", headers={"cookie": f"{TOKEN}=sesame"}).status_code == 401
    with pytest.raises(WebSocketDisconnect), far.websocket_connect("/ws"):
        pass
    answer = far.get("/a?x=1&token=sesame")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/a?x=1"  # the token is out of sight
    assert "sesame" not in answer.headers["set-cookie"]
    assert far.get("/a?x=1").json()["query"] == "x=1"
    cookie = f"{TOKEN}={far.cookies[TOKEN]}"
    with far.websocket_connect("/ws", headers={"cookie": cookie}) as wire:
        assert len(wire.receive_text()) >= 32


def test_a_redirect_leads_nowhere_else() -> None:
    answer = client("t", "http://192.168.1.4").get("http://192.168.1.4//evil.example/x?token=t")
    assert answer.headers["location"] == "/evil.example/x"
