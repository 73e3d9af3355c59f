"""How parent and worker talk: one message is a length-prefixed JSON header followed by raw array bytes.

Each side has a pipe of its own, never stdout, since frameworks print. A header names its arrays' format, shape and
length; bfloat16 travels as its bits. In front stands the number of a request, which its answer repeats. Nothing is
pickled: a worker cannot make the parent run code.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any, BinaryIO, Mapping, Optional, Union

import numpy as np

from lossparity.errors import WireError
from lossparity.formats import FORMATS, INTEGERS, Array
from lossparity.model import Declined, Keyword, Outcome, Produced, Raised, Request

__all__ = ["encode", "numbered", "pack_outcome", "pack_request", "read", "unpack_outcome", "unpack_request"]

_FRONT = struct.Struct("<QQ")  # number and length of the header
_MOST_HEADER = 1 << 24
_MOST_ARRAY = 1 << 33
_STEP = 1 << 20


def encode(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> list[bytes]:
    """Return the message as byte strings to be written one after the other."""
    listed = [[name, a.format, list(a.shape)] for name, a in arrays.items()]
    # A lone surrogate, from the name of a file say, could not be written to a record.
    text = json.dumps({**header, "arrays": listed}, ensure_ascii=False).encode(errors="replace")
    return [_FRONT.pack(0, len(text)), text, *(np.ascontiguousarray(a.data).tobytes() for a in arrays.values())]


def numbered(message: list[bytes], number: int) -> list[bytes]:
    """Return the message with a number, which `read` gives back in its header where it is not 0."""
    return [_FRONT.pack(number, _FRONT.unpack(message[0])[1]), *message[1:]]


def read(stream: BinaryIO) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read one message; raise EOFError at the end of the stream and WireError on anything that is not a message."""
    number, length = _FRONT.unpack(_exactly(stream, _FRONT.size, first=True))
    if length > _MOST_HEADER:
        raise WireError(f"a header of {length} bytes is announced")
    try:
        header = json.loads(_exactly(stream, length))
        listed = header.pop("arrays")
        header.pop("number", None)
        arrays = {str(name): _array(stream, str(fmt), shape) for name, fmt, shape in listed}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WireError(f"not a message: {type(error).__name__}: {error}") from error
    return {**header, "number": number} if number else header, arrays


def _array(stream: BinaryIO, fmt: str, shape: list[int]) -> Array:
    if fmt not in FORMATS and fmt not in INTEGERS:
        raise WireError(f"unknown array format {fmt!r}")
    dtype = np.dtype(FORMATS[fmt].storage if fmt in FORMATS else INTEGERS[fmt])
    # No length is 0 in the product, so that an array without elements cannot announce more than can be indexed.
    if not all(type(n) is int and n >= 0 for n in shape) or math.prod(max(n, 1) for n in shape) > _MOST_ARRAY:
        raise WireError(f"an array of shape {shape} is announced")
    data = np.frombuffer(_exactly(stream, dtype.itemsize * math.prod(shape)), dtype=dtype)
    return Array(fmt, data.reshape(shape))


def _exactly(stream: BinaryIO, size: int, *, first: bool = False) -> bytearray:
    buffer, done = bytearray(), 0
    while done < size:
        if done == len(buffer):  # it grows as it fills: memory is not taken on the word of a header
            buffer.extend(bytes(min(size - done, max(done, _STEP))))
        with memoryview(buffer) as whole, whole[done:] as rest:
            got: Optional[int] = stream.readinto(rest)  # type: ignore[attr-defined]
        if not got:
            if first and done == 0:
                raise EOFError("the stream ended")
            raise WireError(f"the stream ended after {done} of {size} bytes")
        done += got
    return buffer


def pack_request(request: Request, **asked: Any) -> list[bytes]:
    """Encode a request for the worker; `asked` are more keys of its header: what to do instead of making the call."""
    header: dict[str, Any] = {
        "variant": request.variant,
        "operation": request.operation,
        "keywords": dict(request.keywords),
        "mode": request.mode,
        "layout": request.layout,
        "scale": request.scale,
    }
    return encode({**header, **asked}, request.arrays)


def unpack_request(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> Request:
    """Decode a request in the worker."""
    keywords: dict[str, Keyword] = header["keywords"]
    how = header["mode"], header["layout"], header["scale"]
    return Request(header["variant"], header["operation"], arrays, keywords, *how)


_Problem = Union[Raised, Declined]


def _pack_problem(problem: _Problem) -> dict[str, str]:
    if isinstance(problem, Raised):
        return {
            "outcome": "raised",
            "type": problem.type,
            "message": problem.message,
            "api": problem.api,
            "origin": problem.origin,
            "where": problem.where,
        }
    return {"outcome": "declined", "reason": problem.reason}


def _unpack_problem(header: Mapping[str, Any]) -> _Problem:
    if header["outcome"] == "raised":
        whose = (str(header.get(name, "")) for name in ("api", "origin", "where"))
        return Raised(str(header["type"]), str(header["message"]), *whose)
    if header["outcome"] == "declined":
        return Declined(str(header["reason"]))
    raise WireError(f"unknown outcome {header['outcome']!r}")


def pack_outcome(outcome: Union[Produced, Raised, Declined]) -> list[bytes]:
    """Encode what a call came to, for the parent."""
    if not isinstance(outcome, Produced):
        return encode(_pack_problem(outcome), {})
    header: dict[str, Any] = {
        "outcome": "produced",
        "api": outcome.api,
        "origin": outcome.origin,
        "unmodified": outcome.unmodified,
    }
    arrays = {"value": outcome.value}
    if isinstance(outcome.gradient, Array):
        arrays["gradient"] = outcome.gradient
    elif outcome.gradient is not None:
        header["gradient"] = _pack_problem(outcome.gradient)
    return encode(header, arrays)


def unpack_outcome(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> Outcome:
    """Decode what a call came to, in the parent; raise WireError when it is not an outcome."""
    try:
        if header["outcome"] != "produced":
            return _unpack_problem(header)
        gradient: Union[Array, Raised, Declined, None] = arrays.get("gradient")
        if "gradient" in header:
            gradient = _unpack_problem(header["gradient"])
        return Produced(
            arrays["value"], gradient, str(header["api"]), str(header["origin"]), bool(header["unmodified"])
        )
    except (KeyError, TypeError) as error:
        raise WireError(f"an outcome lacks {error}") from error
