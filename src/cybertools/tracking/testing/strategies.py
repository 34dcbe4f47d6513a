"""Hypothesis strategies for what a track may hold."""

from typing import Any

from hypothesis import strategies as st

from cybertools.tracking.values import TIME_LIMIT

__all__ = ["json_data", "json_values", "texts", "time_stamps"]

_any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_without_nul = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


def texts() -> st.SearchStrategy[str]:
    """Task ids, user names, labels and keys, of all of Unicode."""
    return st.text(_without_nul, min_size=1, max_size=30)


def json_values() -> st.SearchStrategy[Any]:
    """JSON values; texts with NUL, integers beyond 64 bits and -0.0 among them."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.integers(-(10**30), 10**30)
        | st.floats(allow_nan=False, allow_infinity=False)
        | _any_text
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text(_without_nul, max_size=10), inner, max_size=4)
        ),
        max_leaves=12,
    )


def json_data() -> st.SearchStrategy[dict[str, Any]]:
    """What ``data`` may be."""
    return st.dictionaries(st.text(_without_nul, max_size=10), json_values(), max_size=5)


def time_stamps() -> st.SearchStrategy[float]:
    """Time stamps as they are stored: whole microseconds."""
    return st.integers(0, int(TIME_LIMIT * 1_000_000) - 1).map(lambda micro: micro / 1_000_000)
