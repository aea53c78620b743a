"""Plays a whole course in minutes, with people who do not exist, and writes down what each of them would get, when, and why not.

The course is copied into a throwaway database; the clock is moved from one moment at which something happens to the next. Inbox, outbox
and bots are the real ones, and what they send goes to the sandbox, which refuses what WeChat refuses.
"""

from app.rehearsal.playing import Member, Options, Played, Scene, live, play
from app.rehearsal.report import write

__all__ = ["Member", "Options", "Played", "Scene", "live", "play", "write"]
