"""A rater made of code, over real HTTP: opens his link, sees the pictures and prefers the brighter one."""

from __future__ import annotations

import http.client
import json
import re
import threading
from urllib.parse import urlsplit

from robot_rl.data.video_write import decode_image


class Client:
    """One browser of one rater: keeps the cookie, sends JSON."""

    def __init__(self, link: str) -> None:
        parts = urlsplit(link)
        self.host, self.path, self.query = parts.netloc, parts.path, parts.query
        self.cookie = ""
        status, headers, _ = self.fetch(f"?{self.query}")
        assert status == 200
        self.cookie = headers["set-cookie"].partition(";")[0]

    def fetch(self, name="", method="GET", body=None, **headers):
        """One request; returns (status, headers, bytes)."""
        connection = http.client.HTTPConnection(self.host, timeout=20)
        sent = {"Cookie": self.cookie} if self.cookie else {}
        if body is not None:
            sent["Content-Type"], body = "application/json", json.dumps(body)
        try:
            connection.request(method, self.path + name, body, {**sent, **headers})
            reply = connection.getresponse()
            return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()
        finally:
            connection.close()

    def ask(self, name, body=None):
        """One request that must be answered, as JSON."""
        status, _, data = self.fetch(name, "GET" if body is None else "POST", body)
        assert status == 200, (status, data)
        return json.loads(data)

    def state(self):
        return self.ask("state")

    def picture(self, name):
        status, _, data = self.fetch(f"pictures/{name}.png")
        assert status == 200
        return decode_image(data, name)

    def answer(self, question, choice, seconds=0.5):
        """Answer a question of a state; returns the new state."""
        return self.ask("answer", {**about(question), "choice": choice, "seconds": seconds})

    def undo(self, what):
        return self.ask("undo", about(what))


def about(question):
    return {"key": question["key"], "attempt": question["attempt"]}


def brighter(client, question):
    """Choose as `BrightLabeler` does: by mean brightness of the pictures that the page shows."""
    first, second = (client.picture(question[side]).mean() for side in ("first", "second"))
    if first == second:
        return "tie"
    if min(first, second) == 0:
        return "cannot_tell"
    return "first" if first > second else "second"


def rate_all(link, choose=brighter, most=None):
    """Answer every question, or the first `most`, and then end his part."""
    client = Client(link)
    state, given = client.state(), 0
    while state["question"] and given != most:
        state, given = client.answer(state["question"], choose(client, state["question"])), given + 1
    if state["question"]:
        client.ask("finish", {"finished": True})
    return client


class Crowd:
    """Pass it as `announce`: every rater whose link is announced is played by a thread."""

    def __init__(self, choose=brighter, most=None, **by_name):
        self.choose, self.most, self.by_name = choose, most, by_name
        self.links, self.errors, self.lines, self._threads = {}, [], [], []

    def __call__(self, line):
        self.lines.append(line)
        found = re.fullmatch(r"([\w.-]+): (http://\S+)", line)
        if found:
            self.links[found[1]] = found[2]
            thread = threading.Thread(target=self._play, args=found.groups(), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _play(self, name, link):
        try:
            play = self.by_name.get(name)
            play(link) if play else rate_all(link, self.choose, self.most)
        except Exception as error:
            self.errors.append(error)
            Client(link).ask("finish", {"finished": True})  # the test shall fail, not wait for ever
            raise

    def done(self):
        """Wait for all, and fail where one failed."""
        for thread in self._threads:
            thread.join(20)
        assert not self.errors
