"""Days and weeks as the products count them: Asia/Kolkata, UTC+05:30 all year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_KOLKATA_OFFSET = timedelta(hours=5, minutes=30)
_KOLKATA_OFFSET_MS = _KOLKATA_OFFSET // timedelta(milliseconds=1)
_DAY_MS = 24 * 3_600_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _local(at_ms: int) -> datetime:
    """Wall-clock time in Kolkata. A fixed offset: India has had no daylight saving since 1945."""
    return _EPOCH + timedelta(milliseconds=at_ms) + _KOLKATA_OFFSET


def local_day(at_ms: int) -> str:
    """The local date, `2024-06-28`."""
    return _local(at_ms).date().isoformat()


def iso_week(at_ms: int) -> str:
    """The local ISO week, `2024-W26`; it belongs to the ISO year, which may differ from the calendar year."""
    year, week, _ = _local(at_ms).isocalendar()
    return f"{year}-W{week:02d}"


def ms_of_local_day(at_ms: int) -> int:
    """Milliseconds since the last local midnight."""
    return (at_ms + _KOLKATA_OFFSET_MS) % _DAY_MS
