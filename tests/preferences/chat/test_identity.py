"""What makes two chat labelers different judges, whose answers are paid for apart."""

import pytest

from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.chat.labeler import ChatLabeler
from robot_rl.preferences.chat.prompt import FOLDER


@pytest.mark.parametrize(
    "change",
    [
        {"model": "toy-mini"},
        {"prompt": "two-stage-1"},
        {"temperature": 0.5},
        {"temperature": None},
        {"image_size": 32},
        {"image_format": "jpeg"},
        {"both_orders": "always"},
        {"structured": "never"},
        {"logprobs": "never"},
        {"detail": "low"},
        {"max_tokens": 5},
        {"variant": "q4"},
    ],
)
def test_what_changes_answers_is_part_of_the_identity(change):
    plain = {"url": "http://localhost/v1", "model": "toy", "image_format": "png"}
    assert (
        ChatLabeler(ChatConfig(**plain)).identity != ChatLabeler(ChatConfig(**{**plain, **change})).identity
    )


def test_an_edited_prompt_is_another_identity(tmp_path):
    copy = tmp_path / "choice-1.txt"
    text = (FOLDER / "choice-1.txt").read_text()
    versions = []
    for edited in (text, text.replace("robot", "machine")):
        copy.write_text(edited)
        labeler = ChatLabeler(ChatConfig("http://localhost/v1", "toy", prompt=str(copy)))
        versions.append(labeler.identity["prompt_version"])
    shipped = ChatLabeler(ChatConfig("http://localhost/v1", "toy")).identity["prompt_version"]
    assert versions[0] == shipped != versions[1]
