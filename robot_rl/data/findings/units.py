"""Whether a channel's magnitude fits its unit: degrees given as radians, millimetres given as metres."""

from __future__ import annotations

import re

import numpy as np

from robot_rl.data.findings.types import Finding, Signal

TURNS = 4 * np.pi  # rad: no joint of an arm, hand or leg winds further
FAST = 60.0  # rad/s
REACH = 30.0  # m: more than an arm or a room; bases that drive are left out by name
_ANGLE = re.compile(
    r"(joint|shoulder|elbow|wrist|hip|knee|ankle|waist|torso|neck|finger|thumb|pan|tilt|lift|flex|"
    r"roll|pitch|yaw|angle|theta)",
    re.I,
)
_LENGTH = re.compile(r"(^|[_.])([xyz]|pos|position|height|distance|opening)([_.]?[xyz0-9])?$", re.I)
_NOT_LENGTH = re.compile(
    r"(base|odom|world|map|gps|pixel|px|image|quat|vel|force|torque|effort|current)", re.I
)
_NOT_ANGLE = re.compile(r"(vel|speed|rate|torque|effort|current|force|temp|volt|quat)", re.I)
_RADIANS, _DEGREES = {"rad", "radian", "radians"}, {"deg", "degree", "degrees", "°"}
_METRES, _MILLIMETRES = {"m", "metre", "meter", "metres", "meters"}, {"mm", "millimetre", "millimeter"}


def wrong_units(signal: Signal) -> list[Finding]:
    """Channels whose largest magnitude does not go with their unit or, without one, with their name."""
    magnitude = np.abs(np.where(np.isfinite(signal.values), signal.values, 0)).max(0)
    suspects: dict[str, list[int]] = {}
    for k, (name, unit, most) in enumerate(zip(signal.parts, signal.units, magnitude, strict=True)):
        guess = suspicion(name, unit.strip().lower(), float(most))
        if guess:
            suspects.setdefault(guess, []).append(k)
    # Small angles are common in degrees too: only a whole arm of them speaks.
    if len(suspects.get("radians, not degrees", ())) < 3:
        suspects.pop("radians, not degrees", None)
    return [_finding(signal, guess, ks, magnitude) for guess, ks in suspects.items()]


def suspicion(name: str, unit: str, most: float) -> str | None:
    """What a channel of this name, unit and largest magnitude looks like, None where it may be right."""
    angle = unit in _RADIANS or (not unit and bool(_ANGLE.search(name)) and not _NOT_ANGLE.search(name))
    length = unit in _METRES or (not unit and bool(_LENGTH.search(name)) and not _NOT_LENGTH.search(name))
    if angle and most > TURNS:
        return "degrees, not radians"
    if unit in _DEGREES and 0 < most <= np.pi:
        return "radians, not degrees"
    if unit == "rad/s" and most > FAST:
        return "degrees a second, not radians"
    if length and not angle and most > REACH and not re.search(r"base|odom|map|gps", name, re.I):
        return "millimetres, not metres"
    if unit in _MILLIMETRES and 0 < most < 2:
        return "metres, not millimetres"
    return None


def _finding(signal: Signal, guess: str, channels: list[int], magnitude: np.ndarray) -> Finding:
    most = channels[int(np.argmax(magnitude[channels]))]
    known = any(signal.units[k] for k in channels)
    names = ", ".join(signal.parts[k] for k in channels[:6]) + (", …" if len(channels) > 6 else "")
    unit = f" in {signal.units[most]}" if signal.units[most] else " (no unit is given)"
    what = f"{names}: up to {magnitude[most]:.4g}{unit} looks like {guess}"
    remedy = (
        "convert the values when importing, or correct the unit that the dataset gives"
        if known
        else "write state_units and action_units into the metadata when importing, so that it is known"
    )
    place = []
    for k in channels[:1]:
        row = int(np.nanargmax(np.abs(signal.values[:, k])))
        place = [signal.place(row, row)]
    channel = signal.name(channels[0]) if len(channels) == 1 else signal.field
    return Finding("units", "warning" if known else "note", channel, what, remedy, tuple(place))
