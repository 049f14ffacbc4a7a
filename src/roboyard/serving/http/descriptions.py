"""What the OpenAPI description says about bodies and answers."""

from __future__ import annotations

from typing import Any

from roboyard.serving.http import codec
from roboyard.serving.http.codec import MAX_SEED

ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "description": "For programs."},
                "message": {"type": "string", "description": "For people."},
                "entry": {"type": "string", "description": "The entry that is wrong."},
            },
        }
    },
}
_ANY_ARRAY = {"description": "Numbers in lists of the policy's shape; a batch has one axis more."}
MESSAGE: dict[str, Any] = {
    "type": "object",
    "required": ["observation"],
    "additionalProperties": False,
    "properties": {
        "observation": {
            **_ANY_ARRAY,
            "anyOf": [
                {"type": "array"},
                {"type": "number"},
                {"type": "object", "description": "By key, or by the names of the entries."},
            ],
        },
        "state": {
            "description": "What the last reply held; recurrent policies only.",
            "anyOf": [{"type": "array"}, {"type": "null"}],
        },
        "episode_start": {
            "description": "Whether an episode begins, which clears the memory.",
            "anyOf": [
                {"type": "boolean"},
                {"type": "array", "items": {"type": "boolean"}},
                {"type": "null"},
            ],
        },
        "seed": {
            "description": "Sample the action with this seed instead of taking the likeliest.",
            "anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_SEED}, {"type": "null"}],
        },
        "id": {"description": "Sent back as it is."},
    },
}
REPLY: dict[str, Any] = {
    "type": "object",
    "required": ["actions", "policy", "version"],
    "properties": {
        "actions": {"description": "One action, or a list of them for a batch."},
        "policy": {"type": "string"},
        "version": {"type": "string"},
        "state": {"type": "array", "description": "Send it back with the next observation."},
        "id": {},
    },
}
_REASONS = {
    400: "The client went away.",
    401: "No valid token.",
    403: "A page of another origin asks.",
    404: "No such policy or version.",
    408: "The body took too long.",
    413: "The body is too long.",
    415: "Unknown content type.",
    421: "The Host header names another server.",
    422: "The observation does not fit; the error names the entry.",
    429: "Too many requests.",
    500: "The policy failed.",
    503: "The server is not ready.",
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}

ACT_BODY: dict[str, Any] = {
    "required": True,
    "content": {codec.JSON: {"schema": MESSAGE}, codec.BINARY: _BINARY},
}
ACT_ANSWERS: dict[str, Any] = {
    "description": "Actions.",
    "content": {codec.JSON: {"schema": REPLY}, codec.BINARY: _BINARY},
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of error answers."""
    return {
        status: {
            "description": _REASONS[status],
            "content": {codec.JSON: {"schema": ERROR}},
        }
        for status in statuses
    }
