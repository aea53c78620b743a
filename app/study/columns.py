"""The one list of what leaves in an export: its files, their columns, and the words of the closed lists. Nothing else does."""

from collections.abc import Iterable, Mapping

from app.states import Asked

#: In `wide.csv` one column for each item of each wave.
EACH_ITEM = "{wave}_{instrument}_{item}"

#: Every file with its columns, in their order.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "participants.csv": ("number", "state", "withdrawn_on", "answers_erased"),
    "waves.csv": ("wave", "title_zh", "title_en", "opens_at", "closes_at", "state", "late", "skips", "shuffled", "instruments"),
    "assignments.csv": ("number", "wave", "step", "state", "cause", "on", "at", "seconds_after_opening", "instrument_order", "seed"),
    "long.csv": (
        *("number", "wave", "instrument", "version", "item", "name", "value", "missing"),
        *("answered_at", "seconds_after_opening", "times_answered", "road", "late"),
    ),
    "wide.csv": ("number", EACH_ITEM),
    "scores.csv": (
        *("number", "wave", "instrument", "version", "score", "value", "missing", "prorated", "band", "complete_value"),
    ),
    "flow.csv": ("part", "wave", "step", "count"),
    "codebook.csv": (
        *("file", "column", "entry", "meaning_zh", "meaning_en", "wave", "instrument", "version", "checksum", "topic", "kind"),
        *("words_zh", "words_en", "labels_zh", "labels_en", "lowest", "highest", "only_if", "scores", "reversed_in", "made_of"),
        *("most_missing", "bands", "default_total", "time_frame", "time_frame_zh", "time_frame_en", "wording_zh", "wording_en"),
        *("wording_source", "wording_permission", "wording_translation", "wording_checksum", "source", "rights"),
    ),
}  # fmt: skip

OTHER = "other"
#: Why there is no value, or none that is exported.
SKIPPED, NOT_ASKED, WITHHELD = "skipped", "not_asked", "words_not_exported"
NOT_ANSWERED, NOT_INVITED, ERASED = "not_answered", "not_invited", "erased"
#: States in which what was not answered never will be.
ENDED = (Asked.REFUSED, Asked.WITHDRAWN, Asked.INELIGIBLE, Asked.WINDOW_CLOSED)

#: The words that a column may hold, by file and column. What is stored otherwise leaves as `other`.
WORDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("participants.csv", "state"): ("active", "withdrawn"),
    ("waves.csv", "state"): ("open", "closed"),
    ("waves.csv", "late"): ("keep", "refuse"),
    ("assignments.csv", "state"): tuple(state.value for state in Asked),
    ("assignments.csv", "cause"): (
        *("wave_open", "delivered", "opened", "answered", "handed_in", "declined", "withdrew", "wave_closed"),
        OTHER,
    ),
    ("long.csv", "missing"): (
        *(SKIPPED, NOT_ASKED, WITHHELD, NOT_ANSWERED, NOT_INVITED, ERASED),
        *(state.value for state in ENDED),
    ),
    ("long.csv", "road"): ("tapped", "typed", "many", "web", OTHER),
    ("flow.csv", "part"): ("screening", "course", "wave"),
    ("flow.csv", "step"): (
        *("answered", "included", "declined", "no_questionnaires", "no_time", OTHER),
        *("participants", "active", "answers_erased", "came_enough", "assigned"),
        *(state.value for state in Asked),
    ),
}


def word(file: str, column: str, stored: str) -> str:
    """What is stored, where it is a word of the column's closed list; `other` where it is not."""
    return stored if stored in WORDS[file, column] else OTHER


def header(file: str, items: Iterable[str] = ()) -> list[str]:
    """The columns of a file; `items` are those that stand for the items of the waves."""
    return [each for column in COLUMNS[file] for each in (items if column == EACH_ITEM else (column,))]
