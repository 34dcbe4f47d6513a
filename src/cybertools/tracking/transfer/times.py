"""Times as people and files write them."""

import re

__all__ = ["text_time"]

_DATE = re.compile(r"(19|20|21|22)\d\d(0[1-9]|1[012])(0[1-9]|[12]\d|3[01])")
_NUMBER = re.compile(r"-?\d+(\.\d*)?(e[-+]?\d+)?", re.IGNORECASE)


def text_time(text: str) -> str | float:
    """A time stamp given as text: seconds as a number, else the text as it is.

    Digits are seconds since 1970, but for eight that make a date: ``20070501``.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text) and not _DATE.fullmatch(text):
        return float(text)
    return text
