"""Hours at which failures begin: of the week, and on a day of the year where one is stated.

An hour is counted from Monday, 0 h UTC. On a day of the year it is a week further for each day from
1 January on, so that what follows the week alone (demand) finds its hour modulo 168. Years have 365
days and begin on any day of the week. `HOTTEST` is no day of a year: at each hour of it every place
is as hot as it ever is at that hour of the day.
"""

from __future__ import annotations

#: Hours of the week, after which demand repeats itself.
HOURS_PER_WEEK = 168
DAYS_PER_YEAR = 365
#: Stands for the hottest of all days of the year at each hour.
HOTTEST = DAYS_PER_YEAR
#: Days of the week, which begins on Monday at 0 h UTC.
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
#: Hours of the week by name.
HOURS = {
    f"{name}-{hour:02d}": 24 * day + hour for day, name in enumerate(DAYS) for hour in range(24)
}
MONTH_DAYS = {
    "Jan": 31,
    "Feb": 28,
    "Mar": 31,
    "Apr": 30,
    "May": 31,
    "Jun": 30,
    "Jul": 31,
    "Aug": 31,
    "Sep": 30,
    "Oct": 31,
    "Nov": 30,
    "Dec": 31,
}
#: Names of the days of the year, ``Jan-01`` to ``Dec-31``, and of the hottest of each hour.
DATES = (
    *(f"{month}-{day:02d}" for month, days in MONTH_DAYS.items() for day in range(1, days + 1)),
    "hottest",
)
_DAY_OF = {date: day for day, date in enumerate(DATES)}


def on_day[Hour: (int, float)](hour: Hour, day: int) -> Hour:
    """An hour of the week on a day of the year, from 0 on."""
    return hour + HOURS_PER_WEEK * (day + 1)


def day_of(hour: float) -> int | None:
    """Day of the year of an hour; None for an hour of the week alone.

    >>> day_of(167.5), day_of(on_day(6, 0)), day_of(on_day(6, HOTTEST))
    (None, 0, 365)
    """
    return int(hour // HOURS_PER_WEEK) - 1 if hour >= HOURS_PER_WEEK else None


def hour_name(hour: int) -> str:
    """Day and hour in UTC of an hour, with its date where it has one.

    >>> hour_name(0), hour_name(167), hour_name(on_day(62, 195))
    ('Mon-00', 'Sun-23', 'Wed-14-Jul-15')
    """
    day, of_week = day_of(hour), hour % HOURS_PER_WEEK
    name = f"{DAYS[of_week // 24]}-{of_week % 24:02d}"
    return name if day is None else f"{name}-{DATES[day]}"


def hour_named(name: str) -> int | None:
    """Hour of a name; None where it is none.

    >>> hour_named("Sun-23"), hour_named("Wed-14-Jul-15") == on_day(62, 195), hour_named("Wed-24")
    (167, True, None)
    """
    hour, date = HOURS.get(name[:6]), name[7:]
    if hour is None or len(name) <= len("Mon-00"):
        return hour
    known = name[6] == "-" and date in _DAY_OF
    return on_day(hour, _DAY_OF[date]) if known else None
