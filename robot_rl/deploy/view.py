"""What a person wants to see of a running deployment, as text: from the nodes' diagnostics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

KEYS = "e enable   d disable   space e-stop   r reset   q quit"
_LEVELS = {0: "ok", 1: "warning", 2: "error", 3: "stale"}


def rows(statuses: Mapping[str, tuple[int, str, Mapping[str, str]]]) -> list[tuple[str, str, str]]:
    """Name, level and what is said of each status; `statuses` maps a name to (level, message, figures)."""
    found = []
    for name, (level, message, figures) in sorted(statuses.items()):
        shown = ", ".join(f"{key} {value}" for key, value in figures.items() if value not in ("", "0", "{}"))
        found.append((name, _LEVELS.get(level, str(level)), f"{message}\n{shown}" if shown else message))
    return found


def line(statuses: Mapping[str, tuple[int, str, Mapping[str, str]]], wanted: Sequence[str] = ()) -> str:
    """One line for where there is no terminal."""
    parts = []
    for name, level, told in rows(statuses):
        if not wanted or any(word in name for word in wanted):
            parts.append(f"{name} [{level}] {told.replace(chr(10), '; ')}")
    return " | ".join(parts) or "nothing heard yet"
