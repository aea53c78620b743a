"""Attendance: who was at a class, a meeting or the retreat; the registers of groups; make-ups; lists that are brought from elsewhere."""

from app.attendance.marking import apply, claim, mark, settle, sign_in
from app.attendance.reading import came_enough, gathering_of, mine, register, register_for

__all__ = ["apply", "came_enough", "claim", "gathering_of", "mark", "mine", "register", "register_for", "settle", "sign_in"]
