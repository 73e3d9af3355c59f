"""The wire: what goes in comes out bit for bit, and what is no message is refused without hanging or filling memory."""

from __future__ import annotations

import io
import json
import math
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossparity import wire
from lossparity.errors import WireError
from lossparity.formats import FORMATS, INTEGERS, Array
from lossparity.model import Declined, Outcome, Produced, Raised, Request

SPECIALS = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.5, 2.0**-149, 3e38, 0.1]
SHAPES = [(), (0,), (3,), (2, 0, 4), (2, 5), (2, 3, 2)]


def sent(parts: list[bytes]) -> tuple[dict[str, Any], dict[str, Array]]:
    stream = io.BytesIO(b"".join(parts))
    message = wire.read(stream)
    assert stream.read() == b"", "a message is read to its end and not beyond"
    return message


def raw(header: object, data: bytes = b"") -> io.BytesIO:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return io.BytesIO(struct.pack("<QQ", 0, len(text)) + text + data)


def same(one: Array, other: Array) -> bool:
    return (one.format, one.shape, one.data.tobytes()) == (other.format, other.shape, other.data.tobytes())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("fmt", [*FORMATS, *INTEGERS])
def test_an_array_arrives_bit_for_bit(fmt: str, shape: tuple[int, ...]) -> None:
    values = np.resize(SPECIALS if fmt in FORMATS else [0, 1, 255, 7], shape)
    array = Array.of(values, fmt)
    _, arrays = sent(wire.encode({}, {"x": array}))
    assert same(arrays["x"], array)


@pytest.mark.parametrize("name", ["transposed", "strided", "reversed"])
def test_an_array_of_any_layout_arrives_in_c_order(name: str) -> None:
    base = np.arange(24.0).reshape(4, 6)
    data = {"transposed": base.T, "strided": base[::2, 1::3], "reversed": base[::-1, ::-1]}[name]
    _, arrays = sent(wire.encode({}, {"x": Array("float64", data)}))
    assert np.array_equal(arrays["x"].data, data)


def test_a_request_arrives_with_its_mode_and_an_exception_with_its_place() -> None:
    request = Request("target", "softmax", {"logits": Array.of([1, 2], "float32")}, {}, "compiled")
    assert wire.unpack_request(*sent(wire.pack_request(request))).mode == "compiled"
    raised = wire.unpack_outcome(*sent(wire.pack_outcome(Raised("ValueError", "no", "f", "target", "mine.py:3"))))
    assert isinstance(raised, Raised)
    assert (raised.api, raised.origin, raised.where) == ("f", "target", "mine.py:3")


def test_several_megabytes_arrive() -> None:
    big = Array("float32", np.random.RandomState(1).standard_normal((3, 700_001)).astype(np.float32))
    header, arrays = sent(wire.encode({"word": "after"}, {"big": big, "next": Array.of([1, 2], "int32")}))
    assert same(arrays["big"], big)
    assert header == {"word": "after"}
    assert arrays["next"].data.tolist() == [1, 2]


def test_what_arrives_may_be_written_to() -> None:
    _, arrays = sent(wire.encode({}, {"x": Array.of([1.0], "float64")}))
    arrays["x"].data[0] = 2.0  # torch.from_numpy warns of arrays that are read-only


def test_messages_follow_each_other() -> None:
    one, two = wire.encode({"n": 1}, {"x": Array.of(1.0, "float16")}), wire.encode({"n": 2}, {})
    stream = io.BytesIO(b"".join([*one, *two]))
    assert wire.read(stream)[0] == {"n": 1}
    assert wire.read(stream)[0] == {"n": 2}
    with pytest.raises(EOFError):
        wire.read(stream)


def test_a_request_arrives_whole() -> None:
    arrays = {"logits": Array.of([[1, 2]], "bfloat16"), "target": Array.of([1], "int64")}
    request = Request(
        "manual", "cross_entropy", arrays, {"label_smoothing": 0.1, "reduction": "sum", "ignore_index": -1}
    )
    got = wire.unpack_request(*sent(wire.pack_request(request)))
    assert (got.variant, got.operation, got.keywords) == (request.variant, request.operation, request.keywords)
    assert list(got.arrays) == ["logits", "target"], "the first argument stays first: it gives the format"
    assert all(same(got.arrays[name], array) for name, array in arrays.items())


VALUE = Array.of([1.5, 2.0], "float32")


@pytest.mark.parametrize(
    "outcome",
    [
        Raised("ValueError", 'no\n\t"such" thing: é ∞ \0'),
        Declined("not offered"),
        Produced(VALUE, None, "a.b", "native", True),
        Produced(VALUE, Array.of([0.5], "float16"), "a.b", "composed", False),
        Produced(VALUE, Raised("RuntimeError", "no gradient"), "a", "target", True),
        Produced(VALUE, Declined("no gradient"), "a", "target", True),
    ],
)
def test_an_outcome_arrives_whole(outcome: Produced | Raised | Declined) -> None:
    got: Outcome = wire.unpack_outcome(*sent(wire.pack_outcome(outcome)))
    if not isinstance(outcome, Produced):
        assert got == outcome
        return
    assert isinstance(got, Produced)
    assert same(got.value, outcome.value)
    assert (got.api, got.origin, got.unmodified) == (outcome.api, outcome.origin, outcome.unmodified)
    if isinstance(outcome.gradient, Array):
        assert isinstance(got.gradient, Array)
        assert same(got.gradient, outcome.gradient)
    else:
        assert got.gradient == outcome.gradient


def test_a_lone_surrogate_becomes_text_that_can_be_recorded() -> None:
    got = wire.unpack_outcome(*sent(wire.pack_outcome(Raised("OSError", "no file caf\udce9.npy"))))
    assert isinstance(got, Raised)
    assert got.message.encode().decode() == "no file caf?.npy"


NO_MESSAGE = {
    "text where the length is": b"Traceback (most recent call last):\n" * 4,
    "an absurd header": struct.pack("<QQ", 0, 1 << 60),
    "all ones": b"\xff" * 64,
    "cut in the length": b"\x01\x02\x03",
    "cut in the header": raw({"arrays": []}).getvalue()[:-3],
    "cut in the data": raw({"arrays": [["x", "float64", [4]]]}, b"\0" * 31).getvalue(),
    "not JSON": raw(b"{]").getvalue(),
    "not UTF-8": raw(b'{"\xff\xfe": 1}').getvalue(),
    "deeply nested": raw(b"[" * 100_000).getvalue(),
    "no object": raw([1, 2]).getvalue(),
    "a number": raw(5).getvalue(),
    "no arrays": raw({"outcome": "raised"}).getvalue(),
    "arrays is a number": raw({"arrays": 5}).getvalue(),
    "arrays of numbers": raw({"arrays": [5]}).getvalue(),
    "an array of four": raw({"arrays": [["x", "float64", [1], 1]]}, b"\0" * 8).getvalue(),
    "an unknown format": raw({"arrays": [["x", "complex128", [1]]]}, b"\0" * 16).getvalue(),
    "a Python object": raw({"arrays": [["x", "O", [1]]]}, b"\0" * 8).getvalue(),
    "a negative length": raw({"arrays": [["x", "float64", [-1]]]}, b"\0" * 8).getvalue(),
    "two negative lengths": raw({"arrays": [["x", "float64", [-1, -1]]]}, b"\0" * 8).getvalue(),
    "a fraction": raw({"arrays": [["x", "float64", [1.0]]]}, b"\0" * 8).getvalue(),
    "a truth": raw({"arrays": [["x", "float64", [True]]]}, b"\0" * 8).getvalue(),
    "a text": raw({"arrays": [["x", "uint8", "1"]]}, b"\0" * 8).getvalue(),
    "a shape in a shape": raw({"arrays": [["x", "uint8", [[1]]]]}, b"\0" * 8).getvalue(),
    "a number for a shape": raw({"arrays": [["x", "uint8", 1]]}, b"\0" * 8).getvalue(),
    "10^12 elements": raw({"arrays": [["x", "uint8", [10**12]]]}, b"\0" * 64).getvalue(),
    "10^30 elements": raw({"arrays": [["x", "float64", [10**15, 10**15]]]}, b"\0" * 64).getvalue(),
    "10^30 times none": raw({"arrays": [["x", "float64", [0, 10**30]]]}).getvalue(),
    "8 GB that do not come": raw({"arrays": [["x", "uint8", [8 * 10**9]]]}, b"\0" * 64).getvalue(),
}


@pytest.mark.parametrize("name", NO_MESSAGE)
def test_what_is_no_message_is_refused_and_takes_no_memory(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            wire.read(io.BytesIO(NO_MESSAGE[name]))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 100e6


@pytest.mark.parametrize(
    "header",
    [
        {"arrays": []},
        {"outcome": "joy", "arrays": []},
        {"outcome": ["raised"], "arrays": []},
        {"outcome": "raised", "arrays": []},
        {"outcome": "declined", "arrays": []},
        {"outcome": "produced", "arrays": []},
        {"outcome": "produced", "api": "", "origin": "", "unmodified": True, "gradient": 5, "arrays": []},
        {"outcome": "produced", "arrays": [["value", "float64", []]]},
    ],
    ids=json.dumps,
)
def test_a_message_that_is_no_outcome_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        wire.unpack_outcome(*wire.read(raw(header, b"\0" * 8)))


@given(data=st.binary(max_size=80))
def test_bytes_at_random_are_refused_or_the_end(data: bytes) -> None:
    with pytest.raises((WireError, EOFError)) as caught:
        wire.read(io.BytesIO(data))
    assert (caught.type is EOFError) == (data == b"")


WHOLE = b"".join(wire.pack_outcome(Produced(VALUE, Array.of([0.5], "float16"), "a.b", "composed", False)))


@settings(max_examples=300)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_one_wrong_byte_gives_an_outcome_or_a_wire_error_and_nothing_else(at: int, byte: int) -> None:
    changed = bytearray(WHOLE)
    changed[at] = byte
    try:
        got: object = wire.unpack_outcome(*wire.read(io.BytesIO(bytes(changed))))
    except WireError:
        return
    assert isinstance(got, Produced | Raised | Declined)


@pytest.mark.parametrize("length", range(1, len(WHOLE)))
def test_a_message_cut_anywhere_is_refused(length: int) -> None:
    with pytest.raises(WireError):
        wire.read(io.BytesIO(WHOLE[:length]))
