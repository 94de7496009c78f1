"""What the README shows works: its robot contract loads."""

import re
from pathlib import Path

from robot_rl.specs.robot_contract import load_contract

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_contract_in_the_readme_loads(tmp_path):
    shown = re.search(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)[1]
    (tmp_path / "my_arm.yaml").write_text(shown)
    contract = load_contract(tmp_path / "my_arm.yaml")
    assert contract.name == "my_arm" and contract.hardware and len(shown.splitlines()) <= 30
