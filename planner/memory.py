"""Memory that this process may still take."""

from __future__ import annotations

import math
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
MEMINFO = Path("/proc/meminfo")
#: Limit and use of memory by version of control groups.
LIMITS = {
    "": ("memory.max", "memory.current"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes"),
}


def available_bytes() -> float:
    """Memory that is free on the machine and within the limits on this process, bytes.

    Infinite where the system does not say.
    """
    return max(0.0, min(_free(), _within_address_space(), _within_cgroups()))


def _free() -> float:
    """Memory free on the machine, or soon freed."""
    try:
        lines = MEMINFO.read_text(encoding="ascii").splitlines()
        found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):
        return math.inf
    return found[0] if found else math.inf


def _within_address_space() -> float:
    """What is left of the limit on the address space (``ulimit -v``)."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        taken = pages * resource.getpagesize()
    except (ImportError, OSError, ValueError, IndexError):
        return math.inf
    return math.inf if limit == resource.RLIM_INFINITY else limit - taken


def _within_cgroups() -> float:
    """What is left of the limits of the control groups of this process and those above them."""
    try:
        lines = OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf
    left = math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        kind = "memory" if "memory" in controllers.split(",") else controllers
        if kind not in LIMITS:
            continue
        folder = CGROUPS / kind / path.lstrip("/")
        for place in (folder, *folder.parents):
            if place.is_relative_to(CGROUPS):
                left = min(left, _left(*(place / name for name in LIMITS[kind])))
    return left


def _left(limit: Path, used: Path) -> float:
    try:
        return int(limit.read_text(encoding="ascii")) - int(used.read_text(encoding="ascii"))
    except (OSError, ValueError):  # there is no such file, or no limit (`max`)
        return math.inf
