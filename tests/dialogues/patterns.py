"""Every fact that a transcript may assert, as a pattern (README.md lists them in words)."""

ROLE = "(?P<role>participant|leader|assistant|mentor|administrator|researcher)"
_TIME = r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d)"
_STANDS = "(?P<state>invited|reached|opened|partial|complete|refused|withdrawn|window closed)"
_ASKED = "(?P<state>is open|is claimed|is answered|is finished|was taken back)"
GATHERING = r"(?P<kind>class|meeting|retreat) (?P<number>\d+)"
#: Every fact that may be asserted.
FACTS = {
    "member": rf"(?P<person>\S+) is {ROLE} of (?P<group>.+)",
    "not_member": r"(?P<person>\S+) is not in (?P<group>.+)",
    "called": r"(?P<person>\S+) is called (?P<name>.+)",
    "consented": r"(?P<person>\S+) consented to (?P<course>.+)",
    "not_consented": r"(?P<person>\S+) has not consented to (?P<course>.+)",
    "included": r"(?P<person>\S+) was included in (?P<course>.+)",
    "excluded": r"(?P<person>\S+) was excluded from (?P<course>.+): (?P<why>.+)",
    "speaks": r"(?P<person>\S+) speaks (?P<language>zh|en)",
    "not_paused": r"(?P<person>\S+) is not paused",
    "paused": r"(?P<person>\S+) is paused",
    "withdrew": r"(?P<person>\S+) withdrew, answers (?P<answers>stay|go)",
    "code": r"code (?P<code>\S+) is (?P<state>used|open)",
    "flag_taken": r"flag for (?P<person>\S+) is taken by (?P<taker>.+)",
    "flags": r"(?P<count>no flag|flag|\d+ flags) for (?P<person>\S+)",
    "planned": rf"announcement to (?P<group>.+) planned for {_TIME}",
    "none_planned": r"no announcement to (?P<group>.+) planned",
    "outcome": r"announcement to (?P<group>.+) (?P<outcome>went out|was cancelled|was missed|waits for second eyes|was returned)",
    "announcements": r"(?P<count>no|\d+) announcements? to (?P<group>.+)",
    "chose": r"(?P<person>\S+) chose (?P<option>.+) of announcement (?P<number>\d+)",
    "waits": r"(?P<what>something|nothing) waits for (?P<person>\S+)",
    "stands": rf"(?P<person>\S+) stands at {_STANDS} in (?P<wave>.+)",
    "answered": r"(?P<person>\S+) answered (?P<instrument>\w+) of (?P<wave>[^:]+): (?P<answers>.+)",
    "thanked": r"(?P<person>\S+) thanked for (?P<count>no|\d+) words?",
    "words": r"(?P<count>no|\d+) warm words? (?P<state>proposed|approved|paused) in (?P<course>.+)",
    "prompts": r"(?P<count>no|\d+) practice prompts? to (?P<group>.+)",
    "prompt_next": rf"practice prompt (?P<number>\d+) goes out next on {_TIME}",
    "prompt_state": r"practice prompt (?P<number>\d+) is (?P<state>running|paused|done|cancelled|stopped)",
    "question": rf"question of (?P<person>\S+) {_ASKED}(?: by (?P<answerer>\S+))?",
    "no_question": r"no question of (?P<person>\S+) is open",
    "away": r"(?P<person>\S+) is away from (?P<group>.+)",
    "not_away": r"(?P<person>\S+) is not away",
    "was_at": rf"(?P<person>\S+) was at {GATHERING} by (?P<how>word|qr|list|tick|made_up)(?: in (?P<city>\S+))?",
    "was_not_at": rf"(?P<person>\S+) was not at {GATHERING}",
    "checked_in": (
        r"(?P<person>\S+) checked in (?P<practice>.+?) on (?P<day>\d{4}-\d\d-\d\d)"
        r"(?P<minutes>, \d+ minutes)?(?P<line>, with a line)?(?P<shared>, shared)?"
    ),
    "no_check_in": r"(?P<person>\S+) has not checked in",
    "nothing_reached": r"nothing reached (?P<person>\S+)",
}
