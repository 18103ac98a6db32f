"""A small client of the running controller: run.json says where it is, a token file who we are."""

import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.errors import InputError, NotRunningError, PeakshareError

RUN_FILE = "run.json"
TOKEN_FILE = "token"  # noqa: S105 - a file's name, not a secret
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """HTTP client on loopback, standard library only: it must start quickly."""

    host: str
    port: int
    token: str

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def post(self, path: str, body: object) -> Any:
        return self._ask("POST", path, json.dumps(body))

    def page(self, path: str) -> str:
        return self._raw("GET", path, None).decode()

    def _ask(self, method: str, path: str, body: str | None) -> Any:
        return json.loads(self._raw(method, path, body) or b"null")

    def _raw(self, method: str, path: str, body: str | None) -> bytes:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            raw = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise NotRunningError(f"the controller does not answer: {error}") from error
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
    try:
        problem = json.loads(raw)
        detail, hint = str(problem.get("detail", "")), problem.get("hint")
        code = problem.get("code")
    except (ValueError, AttributeError):
        detail, hint, code = raw[:200].decode(errors="replace"), None, None
    kind = InputError if status in (400, 404, 413, 422) else PeakshareError
    error = kind(detail or f"the controller answered {status}", hint=hint)
    error.code = code or kind.code
    return error
