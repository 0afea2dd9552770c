"""The signed record of an erasure: canonical JSON with an HMAC-SHA256 over all the rest of it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

FORMAT = "monsoon erasure record v1"
_SIGNATURE = "hmac_sha256"


def keyed_worker(key: bytes, worker_id: str) -> str:
    """How a record names a rider: an HMAC of the id. Who has the key can tell whether a record is about a rider."""
    return hmac.digest(key, b"worker:" + worker_id.encode(), hashlib.sha256).hex()


def signed(record: Mapping[str, Any], key: bytes) -> bytes:
    """The record with its format and signature, as canonical JSON."""
    stated = {**record, "format": FORMAT}
    return _canonical({**stated, _SIGNATURE: _signature(stated, key)}) + b"\n"


def verified(content: bytes, key: bytes) -> dict[str, Any]:
    """The record, without its signature. Raises ValueError where it is none, or was not signed so with this key."""
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON ({error})") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"no {FORMAT}")
    stated = {name: value for name, value in record.items() if name != _SIGNATURE}
    if not hmac.compare_digest(str(record.get(_SIGNATURE)).encode(), _signature(stated, key).encode()):
        raise ValueError("the signature is not that of this record and key: it was edited, or signed with another key")
    return stated


def _signature(stated: Mapping[str, Any], key: bytes) -> str:
    return hmac.digest(key, b"record:" + _canonical(stated), hashlib.sha256).hex()


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
