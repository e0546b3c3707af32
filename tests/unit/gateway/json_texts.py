"""Texts and values of JSON, at random."""

from __future__ import annotations

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats()
    | TEXT
    | st.sampled_from(["5", "NaN", "-1"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(TEXT | st.sampled_from(["text", "1"]), inner, max_size=2)
    ),
    max_leaves=4,
)
