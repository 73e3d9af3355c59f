"""Why a result is wrong: the conventions and mistakes that would have given it, and how near they come.

A candidate explains a result when it predicts every element of it, to the accuracy that the format allows, and is
clearly nearer to what was got than the exact result is. Several may explain one result; `causes` picks those that
explain the most and that the passing results contradict least. A diagnosis is a name, never an excuse: the verdict is
the judge's.
"""

from __future__ import annotations

from lossparity.diagnosis.candidates import Explained, described
from lossparity.diagnosis.causes import Cause, Failed, causes
from lossparity.diagnosis.diagnoser import Diagnoser
from lossparity.diagnosis.features import features

__all__ = ["Cause", "Diagnoser", "Explained", "Failed", "causes", "described", "features"]
