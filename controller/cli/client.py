"""A small client of the running controller: run.json says where it is, a token file who we are."""

import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.errors import (
    AnswerError,
    Fault,
    InputError,
    NoAnswerError,
    NotRunningError,
    PeakshareError,
    TokenError,
    by_code,
)

RUN_FILE = "run.json"
TOKEN_FILE = "token"  # noqa: S105 - a file's name, not a secret
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """HTTP client on loopback, standard library only: it must start quickly."""

    host: str
    port: int
    token: str
    timeout_s: float = TIMEOUT_S

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def post(self, path: str, body: object) -> Any:
        return self._ask("POST", path, json.dumps(body))

    def page(self, path: str) -> str:
        return self._raw("GET", path, None).decode()

    def _ask(self, method: str, path: str, body: str | None) -> Any:
        return json.loads(self._raw(method, path, body) or b"null")

    def _raw(self, method: str, path: str, body: str | None) -> bytes:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_s)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            raw = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswerError(f"the controller does not answer: {error}") from error
        finally:
            connection.close()
        if response.status >= 400:
            raise _as_error(response.status, raw)
        return raw


def find(folder: Path) -> Client:
    """The controller that runs on this data directory. Raises NotRunningError."""
    try:
        run = json.loads((folder / RUN_FILE).read_text())
        token = (folder / TOKEN_FILE).read_text().strip()
        return Client(host=str(run["host"]), port=int(run["port"]), token=token)
    except (OSError, ValueError, KeyError) as error:
        raise NotRunningError(f"no controller runs on {folder}") from error


def _as_error(status: int, raw: bytes) -> PeakshareError:
    """The error behind a refusal, as it was raised over there."""
    try:
        problem = dict(json.loads(raw))
    except (ValueError, TypeError):
        problem = {}
    otherwise = f"the controller answered {status}: {raw[:200].decode(errors='replace')}"
    if isinstance(problem.get("detail"), list):
        return InputError("the controller cannot take this", _shape_faults(problem["detail"]))
    message = str(problem.get("message") or problem.get("detail") or otherwise)
    kind = by_code().get(str(problem.get("code")), _kind_of(status))
    error = kind(message, hint=problem.get("hint"))
    error.faults = tuple(Fault(**fault) for fault in problem.get("faults", ()))
    return error


def _shape_faults(details: Sequence[Any]) -> list[Fault]:
    """What FastAPI says of a request whose fields do not fit."""
    return [
        Fault(
            file="request",
            place=str(d.get("loc", ["body"])[-1]),
            value=repr(d.get("input"))[:80],
            expected=str(d.get("msg", "")).removeprefix("Input should be "),
        )
        for d in details
        if isinstance(d, dict)
    ]


def _kind_of(status: int) -> type[PeakshareError]:
    """What a status means that comes without a code of ours."""
    if status in (401, 403):
        return TokenError
    return InputError if status in (400, 404, 413, 422) else AnswerError
