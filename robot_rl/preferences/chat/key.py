"""The API key of an endpoint: it lives in an environment variable and is read only for a request."""

from __future__ import annotations

import os
import re

from robot_rl.errors import BadInput


class ApiKey:
    """Knows the variable that holds a key, never the key; an empty name means that none is sent.

    No attribute, repr or pickle of it holds the key. Raises BadInput for a name that is no variable's,
    a variable that is not set and a value that no header can carry.
    """

    def __init__(self, variable: str = "") -> None:
        # The name is not repeated in the error: people paste the key itself here.
        if variable and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", variable):
            raise BadInput(
                "api_key_env: must be the name of an environment variable in capitals, such as "
                "OPENAI_API_KEY, never the key itself"
            )
        self.variable = variable
        if variable and not _read(variable):
            raise BadInput(f"api_key_env: the environment variable {variable} is not set; export it first")
        if variable and not re.fullmatch(r"[!-~]+", _read(variable)):
            raise BadInput(f"api_key_env: {variable} holds spaces or other characters that no key has")

    def __bool__(self) -> bool:
        return bool(self.variable)

    def __repr__(self) -> str:
        return f"ApiKey({self.variable!r})"

    def header(self) -> str:
        """The value of the header Authorization."""
        return f"Bearer {_read(self.variable)}"

    def hide(self, text: str) -> str:
        """Take the key out of a text that a server sent: some repeat it in their errors."""
        if not self.variable or not _read(self.variable):
            return text
        return text.replace(_read(self.variable), "[key]")


def _read(variable: str) -> str:
    """The variable's value without the newline that `$(cat file)` tools may leave."""
    return os.environ.get(variable, "").strip()
