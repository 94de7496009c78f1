"""Robot contracts: which topics a robot speaks, what they mean to a policy, and what may never be commanded.

Read from ros_ws/src/robot_rl_bringup/config/<robot>.yaml; the robot side (`deploy`), bag import and the ROS
nodes work from it alone.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from robot_rl.errors import BadInput, nearest
from robot_rl.specs.paths import outside
from robot_rl.specs.yaml_model import SpecModel, load_yaml_model

MESSAGE_TYPE = r"^[a-z][a-z0-9_]*/msg/[A-Z][A-Za-z0-9]*$"
TOPIC = r"^/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*$"
# A field of a message: "pose.position.x", "data[2]", "points[0].positions[2]", "position{joint_name}" (by the
# message's list of names), or a direction that follows from an orientation: "orientation.gravity_x" (of
# gravity, in the body's frame).
FIELD = re.compile(
    r"^(?P<inner>([a-z][a-z0-9_]*(\[\d{1,3}\])?\.)*)(?P<last>[a-z][a-z0-9_]*)"
    r"(\[(?P<index>\d{1,3})\]|\{(?P<joint>[^{}]+)\})?$"
)
# What ros2_control's joint_trajectory_controller takes; its one point holds the positions.
TRAJECTORY, POINT = "trajectory_msgs/msg/JointTrajectory", "points[0].positions{"
Number = Annotated[float, Field(ge=-1e9, le=1e9)]  # beyond, sums and squares lose what they should keep
Limit = Annotated[float, Field(gt=0, le=1e9)]


class Part(SpecModel):
    """One number of a message: part = scale * field + offset, in `unit`."""

    field: str
    unit: str
    scale: Number = 1.0
    offset: Number = 0.0

    @model_validator(mode="after")
    def _usable(self) -> Part:
        _check_field(self.field, self.scale)
        return self


class Source(SpecModel):
    """A topic that the robot publishes, and the state parts that its messages hold."""

    topic: str = Field(pattern=TOPIC)
    type: str = Field(pattern=MESSAGE_TYPE)
    rate: float = Field(gt=0)  # Hz, at which it is published
    stale: float = Field(gt=0)  # s; a reading older than this stops the robot
    frame: str | None = None  # the header's frame_id must be this one, where given
    # theirs: stamps are not of our clock; age is judged by arrival, and by the delay beyond the fastest one
    clock: Literal["ours", "theirs"] = "ours"
    required: bool = True  # False: its parts have `default` until the first message, and it never goes stale
    default: Number = 0.0
    parts: dict[str, Part] = Field(min_length=1)

    @model_validator(mode="after")
    def _stale_is_not_below_the_rate(self) -> Source:
        _check_stale(self.stale, self.rate)
        return self


class CameraTopic(SpecModel):
    """A camera's topic; pictures arrive as sensor_msgs/msg/Image, rgb8 or bgr8."""

    topic: str = Field(pattern=TOPIC)
    rate: float = Field(gt=0)  # Hz
    stale: float = Field(gt=0)  # s
    clock: Literal["ours", "theirs"] = "ours"  # as of a source
    required: bool = False  # True: a policy that sees needs it, and its silence stops the robot

    @model_validator(mode="after")
    def _stale_is_not_below_the_rate(self) -> CameraTopic:
        _check_stale(self.stale, self.rate)
        return self


class Channel(SpecModel):
    """One number of a command: command = scale * action + offset, in `unit`, within all its limits."""

    field: str
    unit: str
    scale: Number = 1.0
    offset: Number = 0.0
    low: Number  # unit
    high: Number
    rate_limit: Limit  # unit/s: a position's velocity, a velocity's acceleration
    acceleration_limit: Limit | None = None  # unit/s²: of a velocity, its jerk
    measured: str | None = None  # of a position: the state part, in the same unit, that says where it stands

    @model_validator(mode="after")
    def _usable(self) -> Channel:
        _check_field(self.field, self.scale)
        _check_order(self.low, self.high)
        return self


class Command(SpecModel):
    """A topic that the robot obeys, and the actions that its messages carry."""

    topic: str = Field(pattern=TOPIC)
    type: str = Field(pattern=MESSAGE_TYPE)
    kind: Literal["position", "velocity", "effort"]
    timeout: float | None = Field(None, gt=0)  # s of silence after which the robot's own driver stops it
    frame: str = ""  # the header's frame_id
    constants: dict[str, float | str] = {}  # further fields, always the same
    # s, of a JointTrajectory: the arm is where it is told so long after the message came (time_from_start)
    reach_in: float | None = Field(None, gt=0, le=10)
    parts: dict[str, Channel] = Field(min_length=1)  # action -> number of the message

    @model_validator(mode="after")
    def _names_each_field_once(self) -> Command:
        _unique("parts.field", [*(channel.field for channel in self.parts.values()), *self.constants])
        for field in self.constants:
            _check_field(field)
        return self

    @model_validator(mode="after")
    def _trajectory_is_whole(self) -> Command:
        if (self.type == TRAJECTORY) != (self.reach_in is not None):
            raise ValueError(f"reach_in is required for {TRAJECTORY}, and for it alone")
        if self.type == TRAJECTORY and self.kind != "position":
            raise ValueError(f"kind must be position for {TRAJECTORY}, not {self.kind}")
        for action, channel in self.parts.items():
            if self.type == TRAJECTORY and not channel.field.startswith(POINT):
                raise ValueError(f"parts.{action}.field must read {POINT}joint}}, not '{channel.field}'")
        return self

    @model_validator(mode="after")
    def _safe_when_we_die(self) -> Command:
        if self.kind != "position" and self.timeout is None:
            raise ValueError(
                f"timeout is required for {self.kind} commands: when every process of ours dies, the robot's "
                "driver alone can stop it; name the time after which it does, or use position commands"
            )
        for action, channel in self.parts.items():
            if self.kind == "position" and channel.measured is None:
                raise ValueError(
                    f"parts.{action}.measured is required for position commands: motion starts from there"
                )
            if self.kind != "position" and channel.measured is not None:
                raise ValueError(
                    f"parts.{action}.measured is for position commands; a {self.kind} command starts at 0"
                )
            if self.kind != "position" and not channel.low <= 0 <= channel.high:
                raise ValueError(f"parts.{action}: 0 must lie within low and high, since it stops the robot")
        return self


class Wall(SpecModel):
    """A measured position that must stay between two walls, and the velocity command that moves it."""

    low: Number  # in the unit of the state part
    high: Number
    driven_by: str  # action

    @model_validator(mode="after")
    def _ordered(self) -> Wall:
        _check_order(self.low, self.high)
        return self


class Home(SpecModel):
    """Where tries begin, and the way there: places one after the other."""

    way: list[dict[str, Number]] = Field(min_length=1)  # state part of the workspace -> place, in its unit
    within: float = Field(gt=0)  # how near a place is reached, in these units
    actions: dict[str, Number] = {}  # in the policy's units, on the way; others rest
    time: float = Field(5.0, gt=0)  # s; after that a try begins where the robot is

    @property
    def parts(self) -> set[str]:
        """The state parts that tell where the robot is on its way."""
        return {part for places in self.way for part in places}


class Stop(SpecModel):
    """What stopping means for this robot, and when it may go on by itself."""

    mode: Literal["hold", "zero", "damp"]
    # hold: the last position command again; zero: velocities and efforts of 0; damp: `topic` (Bool) says so
    topic: str | None = Field(None, pattern=TOPIC)
    resume_within: float = Field(0.5, ge=0)  # s; a stop that lasts longer needs a person to resume


class Intervention(SpecModel):
    """A person takes over: commands on <prefix>/<command topic> count while `hold` (Bool) says true.

    A velocity or effort that is not repeated within `timeout` is over; a position holds.
    """

    prefix: str = Field("teleop", pattern=TOPIC)
    hold: str = Field("teleop/hold", pattern=TOPIC)
    timeout: float = Field(0.25, gt=0)  # s without a command while held: the person has vanished


class RobotContract(SpecModel):
    """A robot as a policy and a guard see it; all topics are relative to the robot's namespace."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str
    tested: str = Field(min_length=1)  # on what this contract was tried, honestly
    robot: str  # as in a checkpoint's `robot`
    simulated: str | None = None  # task that stands behind the topics in simulation
    driver: str | None = Field(None, pattern=r"^[a-z][a-z0-9_]*_node$")  # node of ours before the hardware
    hardware: bool = True  # False: nothing real can move, and activation needs no person
    control_rate: float = Field(ge=0.01, le=10_000)  # Hz
    policy_timeout: float | None = Field(None, gt=0)  # s without a wish, then it stops; default 2 periods
    ramp: float = Field(0.5, ge=0)  # s in which authority grows after a start, a swap or an intervention
    sources: dict[str, Source] = Field(min_length=1)
    cameras: dict[str, CameraTopic] = {}
    previous_action: dict[str, str] = {}  # state part -> action whose last executed value it holds
    commands: dict[str, Command] = Field(min_length=1)
    workspace: dict[str, Wall] = {}  # state part -> walls
    home: Home | None = None  # between the tries of a practice without resets
    faults: dict[str, tuple[Number, Number]] = {}  # state part -> beyond these it is a fault, and stops
    stop: Stop
    intervention: Intervention = Intervention()

    @property
    def period(self) -> float:
        """Seconds from one command to the next."""
        return 1 / self.control_rate

    @property
    def wish_timeout(self) -> float:
        """Seconds without a wish of the policy after which the guard stops the robot."""
        return self.policy_timeout or 2 * self.period

    def channels(self) -> dict[str, Channel]:
        """All channels by action, in the contract's order."""
        return {name: part for command in self.commands.values() for name, part in command.parts.items()}

    def state_parts(self) -> dict[str, str]:
        """All state parts and their units."""
        found = {n: p.unit for source in self.sources.values() for n, p in source.parts.items()}
        return found | dict.fromkeys(self.previous_action, "")

    @model_validator(mode="after")
    def _names_fit(self) -> RobotContract:
        _unique("sources", [*(n for s in self.sources.values() for n in s.parts), *self.previous_action])
        _unique("sources and cameras", [*self.sources, *self.cameras])
        _unique("commands", [n for command in self.commands.values() for n in command.parts])
        _unique("commands.topic", [command.topic.lstrip("/") for command in self.commands.values()])
        sensed = {n: None for source in self.sources.values() for n in source.parts}
        # What protects must be known to be fresh: a source that may be silent cannot say where the robot is.
        sure = {n: None for source in self.sources.values() if source.required for n in source.parts}
        channels = self.channels()
        for what, names, known in (
            ("workspace", self.workspace, sure),
            ("faults", self.faults, sensed),
            ("home.way", self.home.parts if self.home else (), self.workspace),
            ("home.actions", self.home.actions if self.home else (), channels),
            ("workspace.driven_by", [wall.driven_by for wall in self.workspace.values()], channels),
            ("previous_action", self.previous_action.values(), channels),
            ("commands.measured", [c.measured for c in channels.values() if c.measured], sure),
        ):
            for name in names:
                if name not in known:
                    why = " its source must be required." if name in sensed and known is sure else ""
                    raise ValueError(f"{what}: unknown name '{name}'.{why}{nearest(name, known)}")
        return self

    @model_validator(mode="after")
    def _stops_and_bounds_fit(self) -> RobotContract:
        self._check_stop()
        self._check_times()
        self._check_workspace()
        self._check_home()
        units = self.state_parts()
        for name, channel in self.channels().items():
            if channel.measured and units[channel.measured] != channel.unit:
                raise ValueError(
                    f"commands: the unit of '{name}', {channel.unit}, is not that of its measured "
                    f"'{channel.measured}', {units[channel.measured]}; motion would start with a jump"
                )
        for part, (low, high) in self.faults.items():
            _check_order(low, high, f"faults.{part}: ")
        return self

    def _check_stop(self) -> None:
        kinds = {command.kind for command in self.commands.values()}
        if self.stop.mode == "damp" and self.stop.topic is None:
            raise ValueError("stop.topic is required for stop.mode damp: the driver hears of it there")
        if self.stop.mode == "zero" and "position" in kinds:
            raise ValueError("stop.mode zero would send positions to 0; use hold or damp for positions")
        if self.stop.mode == "hold" and kinds != {"position"}:
            raise ValueError("stop.mode hold would repeat a velocity or effort for ever; use zero or damp")

    def _check_times(self) -> None:
        for name, timeout in (
            ("policy_timeout", self.policy_timeout),
            *((f"commands.{name}.timeout", command.timeout) for name, command in self.commands.items()),
        ):
            if timeout is not None and timeout <= self.period:
                raise ValueError(f"{name} must be above one period, {self.period:.3g} s")
        for name, command in self.commands.items():
            if command.reach_in is not None and command.reach_in < self.period:
                raise ValueError(
                    f"commands.{name}.reach_in must be at least one period, {self.period:.3g} s; in less, "
                    "the arm would have to move faster than rate_limit"
                )

    def _check_workspace(self) -> None:
        units, channels = self.state_parts(), self.channels()
        for part, wall in self.workspace.items():
            channel = channels[wall.driven_by]
            if self.kind_of(wall.driven_by) != "velocity":
                raise ValueError(
                    f"workspace.{part}: '{wall.driven_by}' is not a velocity command; bound positions by "
                    "low and high"
                )
            if channel.unit != f"{units[part]}/s":
                raise ValueError(
                    f"workspace.{part}: is in {units[part]}, but '{wall.driven_by}' in {channel.unit}; "
                    f"it must be in {units[part]}/s"
                )
            if channel.acceleration_limit is not None:
                raise ValueError(
                    f"workspace.{part}: '{wall.driven_by}' has an acceleration_limit (of a velocity, its "
                    "jerk), which would not let it brake before the wall; leave it out"
                )

    def _check_home(self) -> None:
        for places in self.home.way if self.home else ():
            for part, place in places.items():
                wall = self.workspace[part]
                if not wall.low < place < wall.high:
                    raise ValueError(
                        f"home.way: {part} at {place:g} lies outside its walls, {wall.low:g} to {wall.high:g}"
                    )

    def kind_of(self, action: str) -> str:
        """The kind of command that carries an action."""
        return next(command.kind for command in self.commands.values() if action in command.parts)


def _check_field(field: str, scale: float = 1.0) -> None:
    if not FIELD.match(field):
        raise ValueError(f"field '{field}' must read a.b.c, a.b[2] or a.b{{joint}}")
    if scale == 0:
        raise ValueError("scale must not be 0")


def _check_order(low: float, high: float, where: str = "") -> None:
    if low >= high:
        raise ValueError(f"{where}low {low} must be below high {high}")


def _check_stale(stale: float, rate: float) -> None:
    if stale <= 1 / rate:
        raise ValueError(f"stale must be above one period of the source, {1 / rate:.3g} s")


def _unique(what: str, names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what}: '{name}' is there twice")
        seen.add(name)


def contract_names() -> list[str]:
    """List the robots that come with the project."""
    folder = outside("ros_ws", "src") / "robot_rl_bringup" / "config"
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load_contract(name: str | Path) -> RobotContract:
    """Load a contract by the robot's name or a file's path; raises BadInput naming the nearest names."""
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = contract_names()
        if str(name) not in known:
            raise BadInput(
                f"no robot '{name}'.{nearest(str(name), known)} Or give the path of a contract file"
            )
        path = outside("ros_ws", "src") / "robot_rl_bringup" / "config" / f"{name}.yaml"
    return load_yaml_model(path, RobotContract)
