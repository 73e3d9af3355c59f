"""One block of what was got beside its exact values and bounds: the worst of it, and what is not settled yet.

Nearly every element is settled by a number that is below its bound and cheap to have. What is left is worked out in
full: what may be beyond the loose bound, what is torn, and the candidates for the largest share of the bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lossparity.bounds import Bounds
from lossparity.distance import Distance, measure
from lossparity.formats import FORMATS, Array
from lossparity.model import Grade
from lossparity.reference import Answer, Block, Flags, Floats
from lossparity.terms import Terms

__all__ = ["GRADES", "Inspection", "Torn", "Worst"]

Ranks = npt.NDArray[np.intp]
Places = npt.NDArray[np.intp]

GRADES = (Grade.EXACT, Grade.FAITHFUL, Grade.TIGHT, Grade.LOOSE, Grade.UNCERTIFIED, Grade.WRONG)
"""By severity: what is wrong in one place is wrong, however little can be said of another. An index is a *rank*."""

_EXACT, _FAITHFUL, _TIGHT, _LOOSE, _UNCERTIFIED, _WRONG = range(len(GRADES))
# Blocks of so few elements are worked out in full at once.
_FEW = 512
# A share of a number below the bound that is this near to 1 is worked out in full.
_NEAR = 1.0 - 2.0**-20
_NOWHERE = np.zeros(0, dtype=np.intp)


@dataclass(frozen=True)
class Worst:
    """A settled element: its rank, its share of the loose bound, and what it is."""

    rank: int
    used: float
    flat: int
    ulp: float
    exact: float
    tight: float
    loose: float
    tier: str

    @property
    def order(self) -> tuple[int, float]:
        """The more severe grade first; then the larger share."""
        return (self.rank, self.used)


@dataclass(frozen=True, eq=False)
class Torn:
    """Rows that are torn, as the next tier encloses them: what their block has at least, and each of them at most."""

    least: int
    ranks: Ranks
    block: Block


@dataclass(frozen=True, eq=False)
class _Graded:
    """Some elements worked out in full: both bounds, and the lowest and highest rank that each may have."""

    places: Places
    tight: Floats
    loose: Floats
    error: Floats
    least: Ranks
    rank: Ranks

    @property
    def settled(self) -> Flags:
        """Whose rank is known."""
        return self.least == self.rank


@dataclass(frozen=True, eq=False)
class Inspection:
    """One block of what was got beside its exact values and bounds; places are in the flattened block.

    `worst` is the worst settled element of the blocks before it: one that is not worse need not be found.
    """

    bounds: Bounds
    block: Block
    terms: Terms
    distance: Distance
    worst: Worst | None

    @classmethod
    def of(cls, array: Array, answer: Answer, bounds: Bounds, block: Block, worst: Worst | None) -> Inspection:
        """Measure what was got for a block."""
        got, terms, fmt = answer.rows_of(array, block.rows), bounds.terms(block), FORMATS[answer.format]

        def margin(exact: Floats) -> Floats:
            return bounds.both(terms, exact)[1]

        return cls(bounds, block, terms, measure(got, array.format, fmt, block.certified, margin), worst)

    def look(self) -> tuple[Worst | None, Torn | None]:
        """Grade the elements that decide the block's grade; return the worst of the settled ones, and what is torn."""
        if self.distance.error.size <= _FEW:
            graded = self._graded(None)
            return self._worst_of(graded), self._torn(graded)
        graded, highest = self._graded(self._decisive), self._surely
        if self._weak.size and not np.any(graded.rank[graded.settled] > _LOOSE):
            # One that is surely loose settles it; else all of them have to be worked out.
            if self._graded(self._weakest).least[0] == _LOOSE:
                highest = _LOOSE
            else:
                graded = self._graded(np.union1d(self._decisive, self._weak))
        highest = max(highest, int(graded.rank[graded.settled].max(initial=-1)))
        if highest > _LOOSE:
            return self._worst_of(graded), self._torn(graded)
        return self._largest_share(highest, graded), self._torn(graded)

    @cached_property
    def _decisive(self) -> Places:
        """The places whose grade has to be worked out; all others are surely within the loose bound, and not torn."""
        found, places = self.distance, [self._beyond("loose", self._high)]
        for end in (0.5, 1.0):
            if not abs(found.most - end) > found.most_doubt:
                places.append(np.flatnonzero(found.ulps + found.doubt >= end))
        if self._line("loose") is None:
            below = self._below("loose", None)
            if not np.isfinite(np.max(below)):
                places.append(np.flatnonzero(~np.isfinite(below)))
            if np.min(below) == 0:
                places.append(np.flatnonzero((below == 0) & ((found.error > 0) | (found.doubt > 0))))
        return np.unique(np.concatenate(places))

    @cached_property
    def _weak(self) -> Places:
        """The other places that may be beyond the tight bound."""
        beyond = self._beyond("tight", None)
        return np.setdiff1d(beyond, self._decisive, assume_unique=True) if self._decisive.size else beyond

    @property
    def _weakest(self) -> Places:
        """The one of them with the largest share of the loose bound."""
        share = self.distance.error.ravel()[self._weak] / self._below("loose", self._weak)
        return self._weak[int(np.argmax(share))][None]

    @cached_property
    def _high(self) -> Places | None:
        """The places that may be beyond the loose bound or exceed its worst share so far; none for all of them."""
        if not self.worst or not isinstance(self.distance.doubt, float):
            return None
        least = min(self.worst.used, self._within)
        return self._over("loose", least) if least > 0 else None

    @property
    def _within(self) -> float:
        """The share of a number below a bound up to which an element that is an ulp or more away is surely within."""
        # At an ulp or more the doubt is no more than so much of the error.
        return _NEAR / (1 + 2 * self.distance.most_doubt)

    def _beyond(self, which: str, among: Places | None) -> Places:
        """Return the places, of some or of all, that may be an ulp or more away and beyond a bound."""
        found = self.distance
        if found.most + found.most_doubt < 1:
            return _NOWHERE
        if among is None:
            among = self._over(which, self._within) if isinstance(found.doubt, float) else np.arange(found.error.size)
        elif (line := self._line(which)) and isinstance(found.doubt, float):
            floor, slope = (part[among // found.error.shape[1], 0] for part in line)
            among = among[found.error.ravel()[among] >= self._within * (floor + slope * found.exact.ravel()[among])]
        doubt = _picked(found.doubt, found.error.shape, among)
        far = found.ulps.ravel()[among] + doubt >= 1
        among, doubt = among[far], doubt[far]
        if not among.size:
            return among
        reach = found.error.ravel()[among] + doubt * found.spacing(among)
        return among[~(reach <= self._below(which, among) * _NEAR)]

    def _over(self, which: str, share: float) -> Places:
        """Return the places whose error may be this share of a bound, or more."""
        found, line = self.distance, self._line(which)
        if line is None:
            return np.flatnonzero(found.error >= share * self._below(which, None))
        limit = found.exact * (share * line[1])
        limit += share * line[0]
        return np.flatnonzero(found.error >= limit)

    def _line(self, which: str) -> tuple[Floats, Floats] | None:
        """Return what is below the bound, per row, as floor + slope * exact; none where that is not known to be so."""
        return self._lines[which]

    @cached_property
    def _lines(self) -> Mapping[str, tuple[Floats, Floats] | None]:
        lines = {which: self.bounds.line(which, self.terms) for which in ("tight", "loose")}
        sound = {
            which: line
            for which, line in lines.items()
            if line and np.all((line[0] > 0) & np.isfinite(line[0] + line[1]))
        }
        return {which: sound.get(which) for which in lines}

    def _below(self, which: str, places: Places | None) -> Floats:
        """Return numbers below a bound, and nearly always near to it, of some elements or of the whole block."""
        if places is None:
            return self._whole_below[which]
        terms, exact = self._at(places)
        return self.bounds.below(which, terms, exact)[:, 0]

    @cached_property
    def _whole_below(self) -> Mapping[str, Floats]:
        return {which: self.bounds.below(which, self.terms, self.distance.exact) for which in ("tight", "loose")}

    def _at(self, places: Places) -> tuple[Terms, Floats]:
        """Return the terms and exact values of some elements, (n, 1)."""
        exact = self.distance.exact
        return self.terms.at(*np.divmod(places, exact.shape[1])), exact.ravel()[places][:, None]

    @property
    def _surely(self) -> int:
        """The rank that the largest error in ulp reaches at least, of those that need no bound."""
        most = self.distance.most - self.distance.most_doubt
        return _EXACT if most <= 0.5 else _FAITHFUL if most < 1 else _TIGHT

    def _full(self, places: Places | None) -> tuple[Floats, Floats]:
        """Return both bounds of some elements, or of all, as vectors."""
        if places is None:
            exact = self.distance.exact
            tight, loose = self.bounds.of_block(self.block, exact)
        else:
            terms, exact = self._at(places)
            tight, loose = self.bounds.both(terms, exact)
        return _picked(tight, exact.shape, None), _picked(loose, exact.shape, None)

    def _graded(self, places: Places | None) -> _Graded:
        """Work some elements out in full, or all of them."""
        found = self.distance
        if places is not None and not places.size:
            nothing = np.zeros(0)
            return _Graded(places, nothing, nothing, nothing, places, places)
        tight, loose = self._full(places)
        error, doubt = (_picked(part, found.error.shape, places) for part in (found.error, found.doubt))
        spacing = found.spacing(places).ravel()
        radius = doubt * spacing
        least = _ranks(np.maximum(error - radius, 0.0), spacing, tight, loose)
        rank = _ranks(error + radius, spacing, tight, loose)
        if self.block.last:
            # Torn between pass and fail: not certified. Between two passing grades: the lower one.
            rank = least = np.where((rank == _WRONG) & (least != _WRONG), _UNCERTIFIED, rank)
        return _Graded(np.arange(error.size) if places is None else places, tight, loose, error, least, rank)

    def _torn(self, graded: _Graded) -> Torn | None:
        """Return the rows of the elements that are not settled."""
        if graded.settled.all():
            return None
        rows, classes = self.distance.error.shape
        ranks, open_ones = np.full(rows, -1), ~graded.settled
        np.maximum.at(ranks, graded.places[open_ones] // classes, graded.rank[open_ones])
        return Torn(int(graded.least.max()), ranks[ranks >= 0], self.block.narrowed(ranks >= 0))

    def _worst_of(self, graded: _Graded) -> Worst | None:
        """Return the worst of the settled elements: of the worst grade, that with the largest share of the bound."""
        highest = int(graded.rank[graded.settled].max(initial=-1))
        if highest < 0:
            return None
        shares = np.where(graded.settled & (graded.rank == highest), _shares(graded.error, graded.loose), -1.0)
        at = int(np.argmax(shares))
        return self._described(highest, int(graded.places[at]), float(graded.tight[at]), float(graded.loose[at]))

    def _largest_share(self, rank: int, graded: _Graded) -> Worst | None:
        """Find the largest share of the loose bound among the settled elements of a passing grade.

        None where it does not exceed that of the worst element so far.
        """
        if self.worst and self.worst.rank > rank:
            return None
        found = self.distance
        if rank == _LOOSE:
            places = self._weak
        elif self.worst and self.worst.rank == rank and self._high is not None:
            places = self._high
        else:
            places = np.arange(found.error.size)
        if rank in (_FAITHFUL, _TIGHT):
            over = found.ulps.ravel()[places] - _picked(found.doubt, found.error.shape, places)
            places = places[over > 0.5 if rank == _FAITHFUL else over >= 1]
        if graded.places.size:
            kept = graded.places[graded.settled & (graded.rank == rank)]
            places = np.union1d(np.setdiff1d(places, graded.places, assume_unique=True), kept)
        if not places.size:
            return None
        error = found.error.ravel()[places]
        share = _shares(error, self._below("loose", places))
        at = int(np.argmax(share))
        first = self._graded(places[at : at + 1])
        if first.error[0] == 0:
            return self._worst_of(first)
        return self._worst_of(self._graded(places[share >= _shares(first.error, first.loose)[0] * _NEAR]))

    def _described(self, rank: int, place: int, tight: float, loose: float) -> Worst:
        found, certified = self.distance, self.block.certified
        error = float(found.error.flat[place])
        return Worst(
            rank,
            float(_shares(np.float64(error), np.float64(loose))),
            self.bounds.answer.flat(self.block.rows, *divmod(place, found.error.shape[1])),
            float(found.ulps.flat[place]),
            float(certified.high.flat[place]),
            tight,
            loose,
            certified.tier,
        )


def _picked(part: Floats | float, shape: tuple[int, ...], places: Places | None) -> Floats:
    if not isinstance(part, np.ndarray):
        return np.full(shape if places is None else len(places), part).ravel()
    whole = part if part.shape == shape else np.broadcast_to(part, shape)
    return whole.reshape(-1) if places is None else whole.ravel()[places]


def _ranks(error: Floats, spacing: Floats, tight: Floats, loose: Floats) -> Ranks:
    """Rank elements: each threshold that is missed, after those before it, costs a grade."""
    beyond = error >= spacing
    rank = (error > spacing / 2).astype(np.intp) + beyond + (beyond & (error > tight)) + 2 * (beyond & (error > loose))
    rank[(loose == 0) & (error > 0)] = _WRONG
    vacuous = ~np.isfinite(loose)
    if vacuous.any():
        rank[vacuous] = np.where(np.isinf(error[vacuous]), _WRONG, _UNCERTIFIED)
    return rank


def _shares(error: Floats | np.float64, bound: Floats | np.float64) -> Floats:
    """Errors as shares of their bounds; no error uses none of it."""
    return np.where(error == 0, 0.0, error / bound)
