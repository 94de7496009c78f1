"""What a bag's topics are by a robot contract: the mapping that reads them as the recorder node would."""

from __future__ import annotations

from robot_rl.data.importers.bag_file import BagFile
from robot_rl.data.importers.bag_mapping import BagMapping, TopicField
from robot_rl.errors import BadInput
from robot_rl.specs.robot_contract import Channel, RobotContract, Source

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
JOINTS = "sensor_msgs/msg/JointState"
EXECUTED = "guard/executed"  # what the guard says was executed: action names, values in the policy's units


def mapping_of(contract: RobotContract, bag: BagFile) -> tuple[BagMapping, list[str]]:
    """The mapping of a contract's topics to those of `bag`, and notes on what is not in it.

    BadInput names a topic of the contract that the bag lacks, and the bag's topics of that type.
    """
    found = _Topics(contract, bag)
    stamped, frames, state, notes = [], {}, [], []
    for source in contract.sources.values():
        topic = found.named(source.topic, source.type, source.required)
        if topic is None:
            notes.append(f"there is no message of '{source.topic}': {_defaults(source)}")
        else:
            stamped += [topic] if source.clock == "ours" else []
            frames |= {topic: source.frame} if source.frame is not None else {}
        state += _state_fields(source, topic or source.topic)
    executed = found.named(EXECUTED, JOINTS, False)
    actions = []
    for command in contract.commands.values():
        topic = executed or found.named(command.topic, command.type, True)
        actions += [_action_field(name, one, topic, executed) for name, one in command.parts.items()]
    cameras = {}
    for name, camera in contract.cameras.items():
        topic = found.picture(camera.topic, camera.required)
        if topic is None:
            notes.append(f"camera '{name}' is left out: there is no message of '{camera.topic}'")
        else:
            cameras[name] = topic
    mapping = BagMapping(
        rate=contract.control_rate,
        state=state,
        actions=actions,
        previous=contract.previous_action,
        cameras=cameras,
        robot=contract.robot,
        stamped=stamped,
        frames=frames,
        contract=contract.name,
        executed=executed,
        resume_within=contract.stop.resume_within,
    )
    return mapping, notes


def _defaults(source: Source) -> str:
    return f"{', '.join(source.parts)} {'are' if len(source.parts) > 1 else 'is'} {source.default:g}"


def _state_fields(source: Source, topic: str) -> list[TopicField]:
    default = None if source.required else source.default
    return [
        TopicField(
            name=name,
            topic=topic,
            path=part.field,
            unit=part.unit,
            scale=part.scale,
            offset=part.offset,
            default=default,
        )
        for name, part in source.parts.items()
    ]


def _action_field(name: str, channel: Channel, topic: str, executed: str | None) -> TopicField:
    """An action: its number in a command brought back into the policy's units, or as the guard says it."""
    # Where the contract converts, the command's unit is not the action's.
    converted = {"scale", "offset"} & channel.model_fields_set
    unit = "" if converted else channel.unit
    if executed:
        return TopicField(name=name, topic=topic, path=f"position{{{name}}}", unit=unit)
    scale, offset = 1 / channel.scale, -channel.offset / channel.scale
    return TopicField(name=name, topic=topic, path=channel.field, unit=unit, scale=scale, offset=offset)


class _Topics:
    """A bag's topics, found by what a contract calls them, whatever the robot's namespace was."""

    def __init__(self, contract: RobotContract, bag: BagFile) -> None:
        self._contract, self._bag, self._there = contract, bag, bag.topics()
        if not self._there:
            raise BadInput(
                f"{bag.name}: no message of it can be read; try `mcap recover`, or record it again"
            )

    def named(self, topic: str, kind: str, required: bool) -> str | None:
        """The bag's topic of that name and type; None, or BadInput where it is required, if there is none."""
        found = [name for name in self._matching(topic) if self._kind(name) == kind]
        if len(found) > 1:
            raise BadInput(
                f"{self._bag.name}: '{topic}' of robot '{self._contract.name}' may be any of "
                f"{', '.join(found)}; write the one that is meant, with a leading /, into a contract file"
            )
        if found or not required:
            return found[0] if found else None
        raise BadInput(f"{self._bag.name}: robot '{self._contract.name}': {self._absent(topic, kind)}")

    def picture(self, topic: str, required: bool) -> str | None:
        """The topic of a camera's pictures, raw or compressed."""
        plain = self.named(topic, IMAGE, False) or self.named(f"{topic}/compressed", COMPRESSED, False)
        return plain or self.named(topic, IMAGE, required)

    def _matching(self, topic: str) -> list[str]:
        exact = [name for name in self._there if name.lstrip("/") == topic.lstrip("/")]
        if exact or topic.startswith("/"):
            return exact
        return [name for name in self._there if name.endswith(f"/{topic}")]

    def _kind(self, name: str) -> str:
        package, _, last = self._there[name].replace("/msg/", "/").rpartition("/")
        return f"{package}/msg/{last}"

    def _absent(self, topic: str, kind: str) -> str:
        other = [f"{name} is a {self._kind(name)}" for name in self._matching(topic)]
        alike = ", ".join(name for name in self._there if self._kind(name) == kind)
        told = f"the bag's topics of this type are {alike}" if alike else self._all()
        why = f" ({other[0]})" if other else ""
        return (
            f"there is no message of '{topic}' ({kind}){why}; {told}; correct the topic in a contract file, "
            "or say by --mapping FILE what the bag's topics are"
        )

    def _all(self) -> str:
        return f"none of the bag's topics has this type; it has {self._bag.told_topics()}"
