"""Random names and emoji for tests of the codecs."""

from __future__ import annotations

from hypothesis import strategies as st

from kit.target import ID_PATTERN

ids = st.from_regex(ID_PATTERN, fullmatch=True)
