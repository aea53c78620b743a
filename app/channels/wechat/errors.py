"""Hides the platform's errcodes: each listed one means one `Verdict`; one never seen is wrong for that message and reported.

Sources: bad-inputs.md part 4, platform reference 4.2, 5.1, 6, 7 and 9.
"""

import re
from collections.abc import Mapping

from app.channels import Verdict
from app.channels.wechat.xml import clean_text


def _table(rows: Mapping[Verdict, tuple[int, ...]]) -> Mapping[int, Verdict]:
    return {code: verdict for verdict, codes in rows.items() for code in codes}


#: What an errcode of any call means, but for calls that fetch a token.
VERDICTS: Mapping[int, Verdict] = _table(
    {
        Verdict.TOKEN: (40001, 40014, 42001),
        Verdict.BUSY: (-1,),
        Verdict.WAIT_MINUTE: (45011,),
        Verdict.WAIT_DAY: (45009,),
        Verdict.SAME_ID_TOO_SOON: (45066,),
        Verdict.DUPLICATE: (45065, 40241),
        Verdict.WINDOW_CLOSED: (45015,),
        Verdict.ALLOWANCE_USED: (45047,),
        Verdict.TOO_OFTEN: (43117,),
        Verdict.QUOTA_USED: (45028,),
        # Foreign or wrong openid, unfollowed, blacklisted, receiving switched off, restricted, minor.
        Verdict.RECIPIENT_CLOSED: (40003, 43004, 43019, 48002, 49003, 50002, 50005, 70000),
        Verdict.BAD_MESSAGE: (
            *(40007, 40008, 40032, 40033, 40035, 40037, 40059, 40200, 41028, 41030, 43116, 44004),
            *(45002, 45008, 45026, 45027, 45029, 45056, 45057, 45058, 45059, 45067, 45072, 45080, 45081),
            *(45098, 45099, 45157, 45158, 45159, 47001, 47002, 47003, 48008, 48011),
        ),
        # Secret, address list, rights, punishments, a missing token: an operator must act.
        Verdict.ACCOUNT_BROKEN: (
            *(40002, 40013, 40125, 40164, 40243, 41001, 41002, 41004, 43002, 43106),
            *(45087, 45094, 45102, 48001, 48003, 48004, 50001, 89503),
        ),
    }
)

#: A tap on "typing" has these answers when there is nothing to show (platform reference 4.1): not worth an error.
NOTHING_TO_SHOW = frozenset({"45080", "45081"})
#: At least one openid of a batch is not a follower's (platform reference, section 7).
FOREIGN_OPENID = frozenset({"40003", "49003"})
#: One person of a batch cannot be tagged: not a follower's openid, or they have twenty tags (platform reference, section 7).
CANNOT_TAG = FOREIGN_OPENID | {"45059"}

_ADDRESS = re.compile(r"(?i)\b[a-z][a-z0-9+.-]*://\S+")
_PARAMETER = re.compile(r"(?i)\b(access_token|secret|appsecret|openid|touser|token)\b(\s*[=:]\s*)[^\s,;&\]]+")
#: Tokens (100 and more), secrets (32), openids (28). A rid (three groups of eight) stays: the platform explains it on request.
_LONG = re.compile(r"\b(?![0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}\b)[A-Za-z0-9_-]{20,}")


def verdict(errcode: int, *, token_call: bool = False) -> Verdict:
    """What an errcode means. In the answer to a token call 40001 is a wrong secret, which no refresh cures.

    An unseen code is taken as permanent for that message and blames nobody else (bad-inputs.md L5).
    """
    found = VERDICTS.get(errcode, Verdict.BAD_MESSAGE)
    return Verdict.ACCOUNT_BROKEN if token_call and found is Verdict.TOKEN else found


def scrub(text: str, *known: str) -> str:
    """An errmsg that may be logged and stored: without addresses, tokens, secrets, openids and the `known` words, one line."""
    line = " ".join(clean_text(text)[0].split())
    for word in sorted((" ".join(each.split()) for each in known), key=len, reverse=True):
        line = line.replace(word, "…") if word else line
    line = _PARAMETER.sub(r"\1\2…", _ADDRESS.sub("…", line))
    return _LONG.sub("…", line)[:200]
