"""The page of `asmd app`: open a video, draw a box, watch, correct, take the result away.

    browser ── page.py, stage.js ──> session.py ──> document.py          what is drawn and tracked, with undo
                                         │
                    ┌────────────────────┼───────────────────┐
              decoding.py           tracking.py         exporting.py     a process each, with limits

One session a tab. Nothing that came from outside is decoded in the server's own process; `gate.py` decides who gets in.
"""
