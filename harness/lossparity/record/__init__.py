"""The record of a run: JSON Lines, one tagged object a line, appended as the run goes.

A record without a footer is *incomplete*: the run was cut off, and everything that reads it says so. Numbers are hex
floats (`float.hex`), so nothing is lost in print. The format is versioned; a reader ignores keys that it does not know.
"""

from lossparity.record.files import VERSION, Appends, Line, Record, Writer, decode, encode, read
from lossparity.record.results import (
    Agreement,
    CaseLine,
    Cause,
    Choice,
    Environment,
    Excerpt,
    Explained,
    Footer,
    Header,
    NotTested,
    Part,
    Result,
    Script,
    Span,
    Window,
    Worst,
)
from lossparity.record.times import Interval, Job, Ratio, Speed, Triad

__all__ = [
    "VERSION",
    "Agreement",
    "Appends",
    "CaseLine",
    "Cause",
    "Choice",
    "Environment",
    "Excerpt",
    "Explained",
    "Footer",
    "Header",
    "Interval",
    "Job",
    "Line",
    "NotTested",
    "Part",
    "Ratio",
    "Record",
    "Result",
    "Script",
    "Span",
    "Speed",
    "Triad",
    "Window",
    "Worst",
    "Writer",
    "decode",
    "encode",
    "read",
]
