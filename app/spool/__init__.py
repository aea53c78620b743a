"""Keeps signed pushes on the local disk while the database is away, and replays them in order when it is back.

`folder` holds the files, `letter` what stands in them, sealed, `first_words` what can be said without a database, `replay` the way back.
"""

from app.spool.first_words import FirstWords, first_words
from app.spool.folder import Folder, SpoolFull, Waiting, waiting
from app.spool.letter import BadLetter, Letter, Seal
from app.spool.replay import Replay

__all__ = ["BadLetter", "FirstWords", "Folder", "Letter", "Replay", "Seal", "SpoolFull", "Waiting", "first_words", "waiting"]
