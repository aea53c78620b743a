"""Cries for help as rows: raised once, called for until somebody takes over, followed with a log, closed with a note.

`calling` raises a flag and calls the people on call one after the other, `duty` is who they are, `outside` what leaves by mail and
webhook, `following` what happens after somebody took over.
"""

from app.flags.calling import AGAIN_AFTER, CALLED_FOR, NEXT_AFTER, acknowledge, call_due, call_next, next_call, raise_flag, take_over
from app.flags.duty import OutsideRoutes, add_on_call, change_webhook, on_call, outside_routes
from app.flags.following import CLOSED_WITHIN, Line, Revealed, Story, close, lines, note_contact, reveal, story
from app.flags.outside import OutsideAlert, alert_done, claim_alerts

__all__ = [
    "AGAIN_AFTER",
    "CALLED_FOR",
    "CLOSED_WITHIN",
    "NEXT_AFTER",
    "Line",
    "OutsideAlert",
    "OutsideRoutes",
    "Revealed",
    "Story",
    "acknowledge",
    "add_on_call",
    "alert_done",
    "call_due",
    "call_next",
    "change_webhook",
    "claim_alerts",
    "close",
    "lines",
    "next_call",
    "note_contact",
    "on_call",
    "outside_routes",
    "raise_flag",
    "reveal",
    "story",
    "take_over",
]
