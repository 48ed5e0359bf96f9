"""Times as records store them."""

import datetime


def now() -> str:
    """Returns the time, ISO 8601 with milliseconds, UTC; later times are larger strings."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
