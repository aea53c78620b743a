"""Marks are what RFC 2104 says they are, so that what was stored under them is found by every later version."""

import base64
import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from app.sealing import Vault

WORDS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.binary(min_size=32, max_size=32), WORDS, WORDS)
def test_an_index_and_a_signature_are_hmacs_of_purpose_and_value(key: bytes, purpose: str, value: str) -> None:
    vault = Vault((bytes(32),), key)
    said = f"{purpose}\0{value}".encode()
    assert vault.index(purpose, value)[1:] == hmac.new(key, said, hashlib.sha256).digest()
    whole = base64.urlsafe_b64encode(hmac.new(key, b"sign\0" + said, hashlib.sha256).digest()).decode()
    assert vault.sign(purpose, value, 12) == whole[:12]
    assert vault.signed(purpose, value, whole[:12], 12)
