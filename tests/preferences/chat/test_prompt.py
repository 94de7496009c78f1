"""Prompts: the files that ship, files of a user, and what is wrong with some of them."""

import pytest

from robot_rl.errors import BadInput
from robot_rl.preferences.chat.prompt import FOLDER, YES_NO, load_prompt

URIS = ("data:image/png;base64,AAA", "data:image/png;base64,BBB")
GOOD = "answer: choice\n== ask ==\n{task} / {opposite}\n{first_image} {second_image}\n"


def write(tmp_path, text):
    path = tmp_path / "own.txt"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_the_prompts_that_ship(path):
    prompt = load_prompt(path.stem)
    assert prompt.version.startswith(f"{path.stem}+")
    (message,) = prompt.messages(0, "the drawer is open", "it is closed", URIS)
    parts = message["content"]
    shown = list(URIS)[-prompt.pictures :]
    assert [p["image_url"]["url"] for p in parts if p["type"] == "image_url"] == shown
    words = "".join(p["text"] for p in parts if p["type"] == "text")
    assert "the drawer is open" in words and "{task}" not in words
    for ask in range(1, len(prompt.asks)):
        (message,) = prompt.messages(ask, "the drawer is open", "", URIS, answer="both are dark")
        assert "both are dark" in message["content"] and "base64" not in message["content"]


def test_the_choice_is_explained_as_it_is_read():
    from robot_rl.preferences.chat.prompt import CHOICES

    text = (FOLDER / "choice-1.txt").read_text()
    assert all(f'"{choice}"' in text for choice in CHOICES)


def test_yes_and_no_are_explained_as_they_are_read():
    prompt, text = load_prompt("success-1"), (FOLDER / "success-1.txt").read_text()
    assert prompt.pictures == 1 and all(f'"{word}"' in text for word in YES_NO)


def test_without_an_opposite_its_line_is_left_out(tmp_path):
    prompt = load_prompt(write(tmp_path, GOOD.replace(" / {opposite}", "\nNot: {opposite}\n")))
    for opposite, there in (("it is closed", True), ("", False), ("  ", False)):
        (message,) = prompt.messages(0, "open it", opposite, URIS)
        assert ("Not:" in str(message)) == there


def test_what_is_filled_in_is_never_a_place_itself(tmp_path):
    prompt = load_prompt(write(tmp_path, GOOD))
    (message,) = prompt.messages(0, "{opposite} {second_image} {task}", "{answer}", URIS)
    assert message["content"][0]["text"] == "{opposite} {second_image} {task} / {answer}"


def test_system_detail_and_carriage_returns(tmp_path):
    text = (
        "# a note\r\n\r\n" + "== system ==\r\nYou judge.\r\n" + GOOD.split("\n", 1)[1].replace("\n", "\r\n")
    )
    prompt = load_prompt(write(tmp_path, text))
    system, user = prompt.messages(0, "open it", "", URIS, detail="high")
    assert system == {"role": "system", "content": "You judge."}
    assert user["content"][-1] == {"type": "image_url", "image_url": {"url": URIS[1], "detail": "high"}}


def test_every_edit_is_a_version_of_its_own(tmp_path):
    versions = {load_prompt(write(tmp_path, text)).version for text in (GOOD, GOOD + "!", "# note\n" + GOOD)}
    assert len(versions) == 3 and all(version.startswith("own+") for version in versions)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs at least one section '== ask =='"),
        (GOOD.replace("ask", "akk"), "unknown section 'akk'. Did you mean 'ask'"),
        (GOOD.replace("answer: choice", "answer: number!"), "'answer: number!' is not understood"),
        (GOOD.replace("answer: choice", "Hello there"), "'Hello there' is not understood"),
        (GOOD.replace("{task}", "{tsak}"), "unknown place '{tsak}'. Did you mean 'task'"),
        (GOOD.replace("{second_image}", ""), "must hold {second_image} once"),
        (GOOD.replace("{second_image}", "{second_image}{second_image}"), "must hold {second_image} once"),
        (GOOD.replace("choice", "yes_no"), "cannot hold {first_image}"),
        (GOOD.replace("{second_image}", "{second_image} {image}"), "cannot hold {image}"),
        (GOOD.replace("{task}", "it"), "must say {task} somewhere"),
        (GOOD + "== ask ==\nAnd now?\n", "must quote {answer}"),
        (GOOD + "{answer}", "must quote {answer}"),
        (GOOD + "== system ==\n{task}", "the section 'system' is sent as it stands"),
    ],
)
def test_what_is_wrong_with_a_prompt(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(BadInput) as caught:
        load_prompt(path)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)


def test_prompts_that_are_not_there_or_no_text(tmp_path):
    with pytest.raises(BadInput, match="prompt: no 'choise-1'. Did you mean 'choice-1'"):
        load_prompt("choise-1")
    path = tmp_path / "latin.txt"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="cannot be read as UTF-8"):
        load_prompt(path)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_what_the_pictures_are_is_said_where_they_are_not_plain_frames(path):
    prompt = load_prompt(path.stem)
    (plain,) = prompt.showing("").messages(0, "open it", "", URIS)
    (strip,) = prompt.showing("They are strips.").messages(0, "open it", "", URIS)
    assert "shown}" not in str(plain) + str(strip)
    assert "They are strips." in str(strip) and "They are strips." not in str(plain)
