"""The wire to the browser: never more pictures than it keeps up with, never a box less."""

from __future__ import annotations

import asyncio
import json

from asmd.web.live import IN_FLIGHT, Live


def test_pictures_wait_for_the_browser_and_boxes_do_not() -> None:
    async def run() -> list[bytes | str]:
        live = Live()
        for frame in range(10):
            live.picture({"frame": frame}, b"jpeg")
        live.drawn()
        live.picture({"frame": 10}, b"jpeg")
        live.picture({"frame": 11}, b"jpeg", must=True)
        live.close()
        live.text({"never": 1})
        sent = []
        while (message := await live.next()) is not None:
            sent.append(message)
        return sent

    sent = asyncio.run(run())
    assert [isinstance(m, bytes) for m in sent] == [True] * IN_FLIGHT + [False] * (10 - IN_FLIGHT) + [True, True]
    assert [json.loads(m)["frame"] for m in sent if isinstance(m, str)] == list(range(IN_FLIGHT, 10))
    first = sent[0]
    assert isinstance(first, bytes)
    length = int.from_bytes(first[:4], "big")
    assert json.loads(first[4 : 4 + length]) == {"type": "picture", "frame": 0}
    assert first[4 + length :] == b"jpeg"
