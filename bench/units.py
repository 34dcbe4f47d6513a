"""Figures as people read them: three digits and a unit."""

__all__ = ["bytes_text", "figure", "time_text", "times_text"]


def figure(value: float) -> str:
    """A number with three digits, or all of those before its point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def time_text(seconds: float) -> str:
    """A time in the unit that suits it: ``'12.3 µs'``."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= factor:
            return f"{figure(seconds / factor)} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def times_text(value: float) -> str:
    """A ratio: ``'1.50'`` and the sign of multiplication."""
    return f"{figure(value)} \N{MULTIPLICATION SIGN}"


def bytes_text(count: float) -> str:
    """Bytes in the unit that suits them: ``'1.50 MB'`` (a million bytes)."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e4, "kB")):
        if count >= factor:
            return f"{figure(count / (1e3 if unit == 'kB' else factor))} {unit}"
    return f"{count:,.0f} B"
