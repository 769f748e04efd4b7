"""Who gets in: the host and origin of each request, the token, and the browser's own secret.

On this machine alone, whoever can reach the port may use the page; a page of another origin must not, which the checks
of host and origin see to (DNS rebinding, cross-site WebSockets). Elsewhere a token is asked for.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OWNER = "asmd_browser"
TOKEN = "asmd_token"
OWNER_KEY = "asmd.owner"
"""Where a request's scope has the browser's secret."""

POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; connect-src 'self'; "
    "media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Nothing from outside this machine; Vue's templates are compiled in the browser, hence the two 'unsafe'."""

HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
)

_ASK = b"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>asmd</title><body style="font:1rem sans-serif;max-width:30rem;margin:3rem auto;padding:0 1rem">
<h1>asmd</h1><p>This page asks for the token that was printed where <code>asmd app</code> was started.</p>
<form><label>Token <input name="token" type="password" autocomplete="off" required></label>
<button>Go on</button></form>
"""


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Gate:
    """ASGI middleware.

    Args:
        app: what is behind it.
        token: what to ask for; None where the page is for this machine alone.
    """

    def __init__(self, app: App, token: str | None = None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request through, or answers it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        if not self._host_is_ours(headers) or not self._origin_is_ours(headers):
            await _refuse(scope, receive, send, 403, b"forbidden")
            return
        cookies = _cookies(headers.get("cookie", ""))
        secure = scope["scheme"] in ("https", "wss")
        if self._token is not None and not self._known(cookies.get(TOKEN, "")):
            await self._ask(scope, receive, send, secure)
            return
        owner, new = cookies.get(OWNER, ""), False
        if len(owner) < 32:
            owner, new = secrets.token_urlsafe(32), True
        scope[OWNER_KEY] = owner
        extra = [(b"set-cookie", _cookie(OWNER, owner, secure))] if new else []
        await self._app(scope, receive, _with_headers(send, extra))

    def _host_is_ours(self, headers: dict[str, str]) -> bool:
        if self._token is not None:
            return True  # any name may lead here; the token is what counts
        return is_loopback(urlsplit(f"//{headers.get('host', '')}").hostname or "")

    def _origin_is_ours(self, headers: dict[str, str]) -> bool:
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == headers.get("host")

    def _digest(self) -> str:
        assert self._token is not None
        return hashlib.sha256(b"asmd cookie " + self._token.encode()).hexdigest()

    def _known(self, cookie: str) -> bool:
        return hmac.compare_digest(cookie.encode(), self._digest().encode())

    async def _ask(self, scope: Scope, receive: Receive, send: Send, secure: bool) -> None:
        """Takes the token out of the address into a cookie, so that it is not seen and not passed on; else asks."""
        assert self._token is not None
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        given = next((value for key, value in query if key == "token"), "")
        if scope["type"] == "http" and hmac.compare_digest(given.encode(), self._token.encode()):
            rest = urlencode([(k, v) for k, v in query if k != "token"])
            place = "/" + scope["path"].lstrip("/") + (f"?{rest}" if rest else "")
            cookie = (b"set-cookie", _cookie(TOKEN, self._digest(), secure))
            await _respond(send, 303, b"", [(b"location", place.encode()), cookie])
            return
        await _refuse(scope, receive, send, 401, _ASK)


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, body: bytes) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    await _respond(send, status, body, [])


async def _respond(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    kind = (b"content-type", b"text/html; charset=utf-8")
    await send({"type": "http.response.start", "status": status, "headers": [kind, *HEADERS, *headers]})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send, extra: list[tuple[bytes, bytes]]) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *HEADERS, *extra]
        await send(message)

    return sending


def _cookies(text: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(text).items()}
    except CookieError:
        return {}


def _cookie(name: str, value: str, secure: bool) -> bytes:
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}".encode()
