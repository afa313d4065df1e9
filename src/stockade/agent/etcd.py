"""etcd as the agent needs it: get, compare-and-put, over whichever member answers."""

import base64
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

CA, CERTIFICATE, KEY = (
    "/etc/stockade/ca.pem",
    "/etc/stockade/etcd-client.pem",
    "/etc/stockade/etcd-client.key",
)
TIMEOUT_S = 3.0
"""Per member; a frozen one must not freeze us, so the next is asked."""


class Unavailable(OSError):
    """No member answered."""


class Etcd:
    """A client of etcd's JSON gateway (etcd's documentation, `api_grpc_gateway`)."""

    def __init__(self, endpoints: Sequence[str]) -> None:
        self._endpoints = tuple(endpoints)
        self._context = ssl.create_default_context(cafile=CA)
        self._context.load_cert_chain(CERTIFICATE, KEY)

    def get(self, key: str) -> tuple[str, int] | None:
        """(value, modification revision) of `key`, linearizable; None if there is none. Raises Unavailable."""
        answer = self._post("/v3/kv/range", {"key": _encode(key)})
        if not answer.get("kvs"):
            return None
        entry = answer["kvs"][0]
        return base64.b64decode(entry["value"]).decode(), int(entry["mod_revision"])

    def put_if(self, key: str, value: str, revision: int) -> bool:
        """Put `value` only if `key` was last modified at `revision`; False if somebody was faster."""
        answer = self._post(
            "/v3/kv/txn",
            {
                "compare": [{"key": _encode(key), "target": "MOD", "mod_revision": str(revision), "result": "EQUAL"}],
                "success": [{"request_put": {"key": _encode(key), "value": _encode(value)}}],
            },
        )
        return bool(answer.get("succeeded"))

    def put(self, key: str, value: str) -> None:
        """Put `value` whatever is there."""
        self._post("/v3/kv/put", {"key": _encode(key), "value": _encode(value)})

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        errors = []
        for endpoint in self._endpoints:
            request = urllib.request.Request(
                endpoint + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=self._context) as response:
                    answer: dict[str, Any] = json.loads(response.read())
                    return answer
            except (OSError, ValueError) as error:
                errors.append(f"{endpoint}: {error}")
        raise Unavailable("; ".join(errors))


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
