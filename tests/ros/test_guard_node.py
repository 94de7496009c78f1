"""The guard as a process over real DDS: what it lets through, and what stops the robot."""

import time

import pytest
from rclpy.parameter import Parameter  # noqa: F401, I001 - rclpy is there
from std_msgs.msg import Bool, Float64MultiArray
from std_srvs.srv import SetBool, Trigger

from robot_rl.deploy.graph import NodeSpec
from tests.deploy.contracts import velocity_contract
from tests.ros.probe import Probe, domain, kill, running, wait_for, write_contract

RATE, STALE = 50.0, 0.6  # Hz, s; generous, since the machine that tests has other work too


def contract():
    # The numbers of the limits are tested without processes, in simulated time.
    made = velocity_contract(control_rate=RATE, rate_limit=100.0, policy_timeout=STALE)
    source = made.sources["x"].model_copy(
        update={
            "type": "sensor_msgs/msg/JointState",
            "stale": STALE,
            "parts": {"x": made.sources["x"].parts["x"].model_copy(update={"field": "position{a}"})},
        }
    )
    stop = made.stop.model_copy(update={"resume_within": STALE})
    person = made.intervention.model_copy(update={"timeout": STALE})
    changes = {"sources": {"x": source}, "hardware": True, "stop": stop, "intervention": person}
    return made.model_copy(update=changes)


@pytest.fixture
def world(tmp_path):
    number = domain()
    spec = NodeSpec("guard_node", {"contract": write_contract(contract(), tmp_path)})
    with running([spec], number, tmp_path / "logs") as processes:
        probe = Probe(number)
        yield probe, processes, tmp_path / "logs" / "guard_node.log"
        probe.close()


def moving(probe, value=0.5):
    """Sources and wishes at the rate."""
    return probe.publishing(RATE, lambda: (probe.joint("x", 0.0), probe.joint("policy/wish", value)))


def last(probe):
    return probe.commands[-1][1]


def test_wishes_pass_once_a_person_enabled(world):
    probe, _, _ = world
    with moving(probe):
        time.sleep(0.5)
        assert not probe.commands  # never by itself
        probe.enable()
        wait_for(lambda: probe.commands and last(probe) == 0.5)
        assert all(0 <= value <= 0.5 for _, value in probe.commands)
        assert probe.ask("guard_node/enable", SetBool, data=False).success
        wait_for(lambda: last(probe) == 0)
        count = len(probe.commands)
        time.sleep(0.3)
        assert len(probe.commands) == count  # and then nothing more


def test_a_silent_source_a_silent_policy_and_nan_stop_it(world):
    probe, _, _ = world
    with probe.publishing(RATE, lambda: probe.joint("policy/wish", 0.5)):
        with probe.publishing(RATE, lambda: probe.joint("x", 0.0)) as silence:
            probe.enable()
            wait_for(lambda: probe.commands and last(probe) == 0.5)
            silence()
            wait_for(lambda: last(probe) == 0)
        wait_for(lambda: "stopped" in probe.states[-1] and "'x'" in probe.states[-1])
        time.sleep(3 * STALE)
        with probe.publishing(RATE, lambda: probe.joint("x", 0.0)):
            time.sleep(STALE)
            assert last(probe) == 0  # it stood too long to go on by itself
            assert not probe.ask("guard_node/enable", SetBool, data=True).success
            assert probe.ask("guard_node/reset", Trigger).success
            probe.enable()
            wait_for(lambda: last(probe) == 0.5)
            # Again and again: a guard that is busy hears the latest wish alone.
            wait_for(lambda: probe.joint("policy/wish", float("nan")) or last(probe) == 0)


def test_estop_is_latched(world):
    probe, _, _ = world
    with moving(probe):
        probe.enable()
        wait_for(lambda: probe.commands and last(probe) == 0.5)
        probe.say("estop", Bool(data=True))
        wait_for(lambda: last(probe) == 0)
        probe.say("estop", Bool(data=False))
        time.sleep(0.3)
        assert last(probe) == 0 and not probe.ask("guard_node/enable", SetBool, data=True).success
        probe.ask("guard_node/reset", Trigger)
        probe.enable()
        wait_for(lambda: last(probe) == 0.5)
        probe.estop()
        wait_for(lambda: last(probe) == 0)


def test_a_second_publisher_is_noticed(world):
    probe, _, _ = world
    with moving(probe):
        probe.enable()
        wait_for(lambda: probe.commands and last(probe) == 0.5)
        probe.publish("command", Float64MultiArray(data=[0.25]))
        wait_for(lambda: probe.states and "other publisher" in probe.states[-1])
        assert "other publisher" in probe.ask("guard_node/enable", SetBool, data=True).message


def test_a_person_takes_over_and_vanishes(world):
    probe, _, _ = world

    def hold():
        probe.publish("teleop/hold", Bool(data=True))
        probe.publish("teleop/command", Float64MultiArray(data=[-0.25]))

    with moving(probe):
        probe.enable()
        wait_for(lambda: probe.commands and last(probe) == 0.5)
        with probe.publishing(RATE, hold):
            wait_for(lambda: last(probe) == -0.25)
        probe.say("teleop/hold", Bool(data=False))
        wait_for(lambda: last(probe) == 0.5)
        with probe.publishing(RATE, hold):
            wait_for(lambda: last(probe) == -0.25)
        wait_for(lambda: last(probe) == 0)  # gone without letting go
        wait_for(lambda: "vanished" in probe.states[-1])


def test_its_last_word_is_stop(world):
    probe, processes, _ = world
    with moving(probe):
        probe.enable()
        wait_for(lambda: probe.commands and last(probe) == 0.5)
        processes.children["guard_node"].terminate()
        processes.children["guard_node"].wait()
        wait_for(lambda: last(probe) == 0)


def test_after_kill_9_it_is_silent_and_must_be_enabled_anew(world, tmp_path):
    probe, processes, _ = world
    with moving(probe):
        probe.enable()
        wait_for(lambda: probe.commands and last(probe) == 0.5)
        kill(processes, "guard_node")  # from here the robot's own driver has to stop it: its time-out
        count = len(probe.commands)
        time.sleep(0.3)
        assert len(probe.commands) <= count + 1


def test_a_simulation_that_somebody_disabled_stays_so(tmp_path):
    simulated = contract().model_copy(update={"hardware": False})
    parameters = {"contract": write_contract(simulated, tmp_path), "auto_enable": True}
    number = domain()
    with running([NodeSpec("guard_node", parameters)], number, tmp_path / "logs"):
        probe = Probe(number)
        with moving(probe):
            probe.enable()  # before it does so by itself, mostly
            wait_for(lambda: probe.commands and last(probe) == 0.5)
            assert probe.ask("guard_node/enable", SetBool, data=False).success
            time.sleep(2.5)  # it looks once a second
            assert "inactive: disabled" in probe.states[-1] and last(probe) == 0.0
        probe.close()


def test_hardware_is_never_enabled_automatically(tmp_path):
    number = domain()
    parameters = {"contract": write_contract(contract(), tmp_path), "auto_enable": True}
    with running([NodeSpec("guard_node", parameters)], number, tmp_path / "logs") as processes:
        assert processes.children["guard_node"].wait(30) == 2
    assert "a person enables it" in (tmp_path / "logs" / "guard_node.log").read_text()
