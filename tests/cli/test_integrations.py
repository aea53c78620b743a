"""`tongban integration`: a token is printed once, renewed, revoked; what does not fit is one sentence."""

import re

from tests.cli.conftest import Tongban, refused

TOKEN = re.compile(r"tongban_[A-Za-z0-9_-]{59}")
ADD = ("integration", "add", "Sign-up site", "--course", "msc-1", "--scope", "courses:read", "--scope", "groups:read")


def test_a_system_is_connected_renewed_and_revoked(course: Tongban) -> None:
    assert "No system is connected" in course("integration", "list").out
    added = course(*ADD)
    assert added.code == 0
    token = TOKEN.findall(added.out)[0]
    listed = course("integration", "list").out
    assert token not in listed
    assert re.search(r"Sign-up site .*courses:read groups:read +never", listed)
    renewed = TOKEN.findall(course("integration", "renew", "Sign-up site").out)
    assert len(renewed) == 1
    assert renewed[0] != token
    assert "Revoked. 0 planned" in course("integration", "revoke", "Sign-up site", "--yes").out
    assert "REVOKED" in course("integration", "list").out
    assert "There is no single integration" in refused(course("integration", "renew", "Sign-up site"))


def test_what_does_not_fit_is_one_sentence(course: Tongban) -> None:
    assert "one or more of these: courses:read" in refused(course(*ADD[:-1], "everything:write"))
    assert "Which course?" in refused(course("integration", "add", "x", "--course", "nowhere", "--scope", "courses:read"))
    assert "at most 60 characters" in refused(course("integration", "add", " ", *ADD[3:]))
    assert course(*ADD).code == course(*ADD).code == 0
    assert "use its id" in refused(course("integration", "revoke", "Sign-up site", "--yes"))
    assert "No system" not in course("integration", "list").out
