"""Days and weeks as the products count them: Asia/Kolkata, UTC+05:30 all year."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

KOLKATA_OFFSET = timedelta(hours=5, minutes=30)
KOLKATA_OFFSET_MS = KOLKATA_OFFSET // timedelta(milliseconds=1)
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""From January on, of a year without 29 February."""
_DAY_MS = 24 * 3_600_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FIRST_DAY, _LAST_DAY = "1970-01-01", "2100-01-01"
"""On which a time that a contract allows may lie."""


def _local(at_ms: int) -> datetime:
    """Wall-clock time in Kolkata. A fixed offset: India has had no daylight saving since 1945."""
    return _EPOCH + timedelta(milliseconds=at_ms) + KOLKATA_OFFSET


@lru_cache(maxsize=4096)
def local_day(at_ms: int) -> str:
    """The local date, `2024-06-28`."""
    return _local(at_ms).date().isoformat()


@lru_cache(maxsize=4096)
def iso_week(at_ms: int) -> str:
    """The local ISO week, `2024-W26`; it belongs to the ISO year, which may differ from the calendar year."""
    year, week, _ = _local(at_ms).isocalendar()
    return f"{year}-W{week:02d}"


def ms_of_local_day(at_ms: int) -> int:
    """Milliseconds since the last local midnight."""
    return (at_ms + KOLKATA_OFFSET_MS) % _DAY_MS


@lru_cache(maxsize=4096)
def iso_week_start_ms(at_ms: int) -> int:
    """The moment at which the local ISO week of a moment began, in milliseconds."""
    local = _local(at_ms)
    monday = local.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=local.weekday())
    return (monday - KOLKATA_OFFSET - _EPOCH) // timedelta(milliseconds=1)


@lru_cache(maxsize=4096)
def clock_hour(at_ms: int) -> str:
    """The local date and hour, `2024-06-28T14`."""
    return _local(at_ms).strftime("%Y-%m-%dT%H")


def is_day(text: str) -> bool:
    """Whether the text is a day, from 1970 to 2100, in the form of `local_day`."""
    if _DAY.fullmatch(text) is None or not _FIRST_DAY <= text <= _LAST_DAY:
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def day_end_ms(day: str) -> int:
    """The moment at which a local day ends, in milliseconds. Raises ValueError for no day."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1) - KOLKATA_OFFSET
    return (midnight - _EPOCH) // timedelta(milliseconds=1)


def moment_with_offset(text: str) -> datetime | None:
    """The moment that an ISO 8601 text with an offset from UTC states; None for any other."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment


@lru_cache(maxsize=4096)
def local_minute(at_ms: int) -> str:
    """The local moment as people read it, to the minute: `16:05 on 28 June 2024`."""
    local = _local(at_ms)
    return f"{local:%H:%M} on {local.day} {_MONTHS[local.month - 1]} {local.year}"


_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
"""In English, whatever the locale."""
