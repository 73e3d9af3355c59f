"""The oracle against published figures, closed forms, far higher precision and numerical differentiation."""

from math import inf, nan
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest

from oracle import gradient, value

X = [[0.1, 0.2, 0.3, 0.4], [0.1, 0.1, 0.1, 0.1]]
Y = [2, 3]
MAX32 = float(np.finfo(np.float32).max)
LABELS = np.array([2, 0, 3])
LABELS_3D = np.array([[1, 3], [0, 0], [-7, 2]])
WEIGHT = [0.5, 1.25, 0.0, 3.0]
RNG = np.random.default_rng(20)
# The central difference of eighth order: f'(x) h = Σ s_k (f(x + k h) - f(x - k h)) + O(h^9).
STENCIL = {1: (4, 5), 2: (-1, 5), 3: (4, 105), 4: (-1, 280)}
STEP = 2.0**-36


def decimals(array: Any, digits: int) -> list[str]:
    """Return the numbers rounded from all their digits, not from their nearest floats."""
    with mpmath.workdps(80):
        scaled = [int(mpmath.nint(a * 10**digits)) for a in np.asarray(array).reshape(-1)]
    return [f"{'-' * (s < 0)}{abs(s) // 10**digits}.{abs(s) % 10**digits:0{digits}}" for s in scaled]


def assert_close(actual: Any, expected: Any) -> None:
    """Ask for the same None, NaN and infinities and for 60 digits; where 0 is expected, for exactly 0."""
    actual, expected = np.asarray(actual, dtype=object), np.asarray(expected, dtype=object)
    assert actual.shape == expected.shape
    with mpmath.workdps(100):
        for a, b in zip(actual.reshape(-1), expected.reshape(-1), strict=True):
            if b is None:
                assert a is None
            elif mpmath.isfinite(b):
                assert abs(a - b) <= mpmath.mpf(10) ** -60 * abs(b), (a, b)
            else:
                assert a == b or (mpmath.isnan(a) and mpmath.isnan(b)), (a, b)


@pytest.mark.parametrize(
    ("operation", "published"),
    [
        ("one_hot", "0.0000 0.0000 1.0000 0.0000 0.0000 0.0000 0.0000 1.0000"),
        ("exp", "1.1052 1.2214 1.3499 1.4918 1.1052 1.1052 1.1052 1.1052"),
        ("softmax", "0.2138 0.2363 0.2612 0.2887 0.2500 0.2500 0.2500 0.2500"),
        ("log_softmax", "-1.5425 -1.4425 -1.3425 -1.2425 -1.3863 -1.3863 -1.3863 -1.3863"),
        # Published as -5.5700, which was added up from four rounded numbers.
        ("log_softmax_row_sum", "-5.5701 -5.5452"),
        ("smoothing_term", "1.3894"),
        ("cross_entropy", "1.3644"),
    ],
)
def test_the_worked_example_as_published(operation: str, published: str) -> None:
    """All published figures come out, but for the one that was added up from rounded ones."""
    assert decimals(value(operation, X, Y), 4) == published.split()


def test_the_worked_example_to_twelve_digits() -> None:
    """The figures of the spec come out to their last digit."""
    z = value("log_softmax", X).astype(np.float64)
    for operation, first in (("nll_loss", z), ("cross_entropy", X)):
        assert decimals(value(operation, first, Y, reduction="none"), 11) == [
            "1.34253552946",
            "1.38629436112",
        ]
        assert decimals(value(operation, first, Y), 11) == ["1.36441494529"]
        assert decimals(value(operation, first, Y, reduction="sum"), 11) == ["2.72882989058"]
    assert decimals(value("smoothing_term", X), 11) == ["1.38941494529"]
    rows, mean, total = (
        value("cross_entropy", X, Y, label_smoothing=0.1, reduction=r) for r in ("none", "mean", "sum")
    )
    assert decimals(rows, 11) == ["1.34753552946", "1.38629436112"]
    assert decimals([mean, total], 11) == ["1.36691494529", "2.73382989058"]


def test_smoothing_puts_its_mass_on_every_class() -> None:
    """The smoothed loss is that of this spec's convention; the others follow from z."""
    x = [2.0, 1.0, 0.0, -1.0, 0.5]
    assert decimals(value("cross_entropy", [x], [0], label_smoothing=0.1), 6) == ["0.724438"]
    z = value("log_softmax", x)
    with mpmath.workdps(80):
        others = -0.9 * z[0] - 0.025 * sum(z[1:])
        entropy = -0.9 * mpmath.log(0.9) - 0.1 * mpmath.log(0.025)
    # The last is 0.29822553: a table that shows 0.298225 has cut it off.
    assert decimals([others, others - entropy], 6) == ["0.761938", "0.298226"]


@pytest.mark.parametrize("k", [1, 2, 3, 10, 257])
def test_equal_logits_give_the_logarithm_of_their_number(k: int) -> None:
    """Equal logits give 1/K and ln K, whatever their size."""
    for x in (0.0, 0.1, -1e4, MAX32):
        with mpmath.workdps(80):
            assert_close(value("softmax", [x] * k), [mpmath.mpf(1) / k] * k)
            assert_close(value("cross_entropy", [[x] * k], [k - 1], label_smoothing=0.3), mpmath.log(k))
            assert_close(value("smoothing_term", [x] * k), mpmath.log(k))


def test_one_class_is_certain_and_has_no_gradient() -> None:
    """One class gives 1 and 0 exactly."""
    for x in (0.1, 1e4, -MAX32):
        assert value("softmax", [[x]])[0, 0] == 1
        assert value("log_softmax", [[x]])[0, 0] == 0
        assert gradient("cross_entropy", [[x]], [0], 0.7, label_smoothing=0.1)[0, 0] == 0
        assert gradient("softmax", [[x]], None, [[0.7]])[0, 0] == 0


@pytest.mark.parametrize(
    "x",
    [
        (1e4, 0.0, -1e4),
        (0.0, 1e-9, -2e4),
        (6e4, 59990.0, 6e4),
        (0.1, 0.3, 0.7),
        (-700.0, 5e-324, 0.0, 0.0),
    ],
)
def test_agreement_with_the_definitions_in_9000_digits(x: tuple[float, ...]) -> None:
    """The definitions alone, in more digits than any cancellation can use up, give the same 60."""
    up = np.array([0.3, -1.7, 1e-30, 0.25])[: len(x)]
    q = np.array([0.5, 0.25, 0.25, 0.125])[: len(x)]
    with mpmath.workdps(9000):
        e = np.array([mpmath.exp(a) for a in x])
        p, z = e / e.sum(), np.array(x) - mpmath.log(e.sum())
        v, coefficients = up * mpmath.mpf(1), q * mpmath.mpf(1)
        assert_close(value("exp", x), e)
        assert_close(value("row_sum", x), e.sum())
        assert_close(value("softmax", x), p)
        assert_close(value("log_softmax", x), z)
        assert_close(value("log_softmax_row_sum", x), z.sum())
        assert_close(value("cross_entropy", x, q), -(coefficients * z).sum())
        assert_close(gradient("softmax", x, None, up), p * (v - (p * v).sum()))
        assert_close(gradient("log_softmax", x, None, up), v - p * v.sum())
        assert_close(gradient("cross_entropy", x, q, 1.0), coefficients.sum() * p - coefficients)


def test_logits_at_the_end_of_binary32() -> None:
    """A spread for which no precision would do is exact all the same."""
    with mpmath.workdps(80):
        spread, log2 = mpmath.mpf(2 * MAX32), mpmath.log(2)
        tiny = mpmath.exp(-spread)
        assert tiny > 0
        assert_close(mpmath.log(tiny), -spread)
        assert_close(value("softmax", [MAX32, -MAX32]), [1, tiny])
        assert_close(value("log_softmax", [MAX32, -MAX32]), [-tiny, -spread])
        assert_close(value("log_softmax", [MAX32, MAX32, 0.0]), [-log2, -log2, -spread / 2 - log2])
        assert_close(gradient("cross_entropy", [[MAX32, -MAX32]], [0], 1.0), [[-tiny, tiny]])
        assert_close(gradient("cross_entropy", [[MAX32, -MAX32]], [1], 1.0), [[1, -1]])


def test_a_common_offset_changes_nothing() -> None:
    """An exact shift of all logits gives the same numbers."""
    for offset in (1e4, -6e4, 2.0**40):
        shifted = [offset + 0.5, offset - 2, offset]
        assert_close(value("log_softmax", shifted), value("log_softmax", [0.5, -2.0, 0.0]))


def test_gradients_that_cancel() -> None:
    """What is zero is exactly zero, and what is not is found however far down it lies."""
    assert_close(gradient("cross_entropy", [0.1] * 3, 1, 1.0, label_smoothing=1.0), [0] * 3)
    assert_close(gradient("softmax", [0.1, 7.0, -1e4], None, [0.3] * 3), [0] * 3)
    assert_close(gradient("log_softmax_row_sum", [0.1] * 3, None, 0.7), [0] * 3)
    # Here p differs from q in the 26058th digit.
    with mpmath.workdps(80):
        d = mpmath.exp(-60000)
        expected = [-d / (4 + 2 * d), -d / (4 + 2 * d), d / (2 + d)]
    assert_close(gradient("cross_entropy", [0.0, 0.0, -6e4], [0.5, 0.5, 0.0], 1.0), expected)
    # Tiny steps between logits, to first order: what the higher orders add is below 10^-69 of it.
    for h in (5e-324, 0.1 * 2.0**-230):
        with mpmath.workdps(80):
            step, third = mpmath.mpf(h), mpmath.mpf(1) / 3
            assert_close(gradient("cross_entropy", [0.0, h], [0.5, 0.5], 1.0), [-step / 4, step / 4])
            assert_close(gradient("softmax", [0, 0, h], None, [0.0, 1.0, -1.0]), [step / 9, third, -third])


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize(
    ("operation", "shape", "target", "keywords"),
    [
        ("exp", (3, 4), None, {}),
        ("row_sum", (3, 4, 2), None, {}),
        ("softmax", (4,), None, {}),
        ("softmax", (3, 4, 2), None, {}),
        ("log_softmax", (3, 4), None, {}),
        ("log_softmax", (3, 4, 2), None, {}),
        ("log_softmax_row_sum", (3, 4, 2), None, {}),
        ("smoothing_term", (4,), None, {}),
        ("smoothing_term", (3, 4, 2), None, {}),
        ("nll_loss", (4,), 3, {}),
        ("nll_loss", (3, 4), LABELS, {"weight": WEIGHT}),
        ("nll_loss", (3, 4, 2), LABELS_3D, {"weight": WEIGHT, "ignore_index": -7}),
        ("cross_entropy", (4,), 1, {"label_smoothing": 0.1}),
        ("cross_entropy", (3, 4), LABELS, {}),
        ("cross_entropy", (3, 4), LABELS, {"ignore_index": 0, "label_smoothing": 0.1}),
        ("cross_entropy", (3, 4), LABELS, {"weight": WEIGHT, "label_smoothing": 0.3}),
        (
            "cross_entropy",
            (3, 4, 2),
            LABELS_3D,
            {"weight": WEIGHT, "label_smoothing": 1.0, "ignore_index": -7},
        ),
        ("cross_entropy", (4,), RNG.random(4), {}),
        ("cross_entropy", (3, 4), RNG.random((3, 4)), {"weight": WEIGHT, "label_smoothing": 0.1}),
        ("cross_entropy", (3, 4, 2), RNG.random((3, 4, 2)), {"weight": WEIGHT, "ignore_index": 0}),
    ],
)
def test_gradients_against_differences(
    operation: str, shape: tuple[int, ...], target: Any, keywords: dict[str, Any], reduction: str
) -> None:
    """The gradient is the derivative of the value, for an upstream gradient that is not uniform."""
    rng = np.random.default_rng(len(shape))
    # Few enough bits for x + k STEP to be exact: the differences are then good to 60 digits.
    x = np.round(rng.normal(scale=2, size=shape) * 256) / 256
    keywords = keywords | {"reduction": reduction}
    up = np.asarray(rng.normal(size=value(operation, x, target, **keywords).shape))

    def shifted(at: tuple[int, ...], by: float) -> Any:
        y = x.copy()
        y[at] += by
        values = value(operation, y, target, **keywords).reshape(-1)
        return mpmath.fdot(zip(values, up.reshape(-1), strict=True))

    actual = gradient(operation, x, target, up, **keywords)
    assert actual.shape == x.shape
    with mpmath.workdps(80):
        for at in np.ndindex(shape):
            slope = sum(
                a * (shifted(at, k * STEP) - shifted(at, -k * STEP)) / (b * mpmath.mpf(STEP))
                for k, (a, b) in STENCIL.items()
            )
            assert abs(actual[at] - slope) < 1e-60


@pytest.mark.parametrize("eps", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weight", [[1.0] * 4, WEIGHT])
def test_losses_against_their_formulas(eps: float, weight: list[float]) -> None:
    """Weights, smoothing, ignored positions and divisors are those of the spec, written out as loops."""
    x, q = RNG.normal(size=(3, 4, 2)), RNG.random((3, 4, 2))
    z = value("log_softmax", x)
    given = z.astype(np.float64)
    nll, hard, soft = np.zeros((3, 3, 2), dtype=object)
    with mpmath.workdps(80):
        w, e = [mpmath.mpf(a) for a in weight], mpmath.mpf(eps)
        divisor = mpmath.mpf(0)
        for n, d in np.ndindex(3, 2):
            y = LABELS_3D[n, d]
            soft[n, d] = -sum(w[c] * ((1 - e) * q[n, c, d] + e / 4) * z[n, c, d] for c in range(4))
            if y != -7:
                nll[n, d] = -w[y] * given[n, y, d]
                hard[n, d] = -(1 - e) * w[y] * z[n, y, d] - e / 4 * sum(w[c] * z[n, c, d] for c in range(4))
                divisor += w[y]
        for operation, first, target, rows, by in (
            ("nll_loss", given, LABELS_3D, nll, divisor),
            ("cross_entropy", x, LABELS_3D, hard, divisor),
            ("cross_entropy", x, q, soft, 6),
        ):
            for reduction, expected in (("none", rows), ("sum", rows.sum()), ("mean", rows.sum() / by)):
                keywords: dict[str, Any] = {"weight": weight, "ignore_index": -7, "reduction": reduction}
                actual = value(operation, first, target, label_smoothing=eps, **keywords)
                assert_close(actual, expected)
        smoothing = -z.sum(axis=1) / 4
        assert_close(value("smoothing_term", x, reduction="none"), smoothing)
        assert_close(value("smoothing_term", x, reduction="sum"), smoothing.sum())
        assert_close(value("smoothing_term", x), smoothing.sum() / 6)


def test_masked_classes_are_as_if_absent() -> None:
    """A logit of -inf gives 0 and -inf, and changes nothing for the other classes."""
    for operation, masked in (("softmax", 0), ("log_softmax", mpmath.ninf)):
        few, many = value(operation, [0.1, 0.7]), value(operation, [0.1, -inf, 0.7])
        assert_close(many, [few[0], masked, few[1]])
    assert_close(gradient("log_softmax", [-inf, 0.0, 0.0], None, [0.5, 1.0, 0.0]), [0.5, 0.25, -0.75])
    assert_close(gradient("softmax", [-inf, 0.0, 0.0], None, [0.5, 1.0, 0.0]), [0, 0.25, -0.25])


def test_a_masked_class_in_the_loss() -> None:
    """A masked class makes the loss infinite just where its coefficient is not 0."""
    x = [[-inf, 0.0, 0.0]]
    log2 = value("smoothing_term", [0.0, 0.0])
    weight = [0.0, 1.0, 1.0]
    assert_close(value("cross_entropy", x, [1]), log2)
    assert_close(value("cross_entropy", x, [0]), mpmath.inf)
    assert_close(value("cross_entropy", x, [1], label_smoothing=0.1), mpmath.inf)
    assert_close(value("cross_entropy", x, [[0.0, 0.5, 0.5]]), log2)
    with mpmath.workdps(80):
        assert_close(value("cross_entropy", x, [1], label_smoothing=0.5, weight=weight) * 6, 5 * log2)
    assert_close(value("cross_entropy", x, [0], weight=weight, reduction="sum"), 0)
    assert_close(value("nll_loss", x, [0], weight=weight, reduction="sum"), 0)
    assert_close(gradient("cross_entropy", x, [1], 1.0), [[0, -0.5, 0.5]])


def test_rows_that_are_not_numbers() -> None:
    """Rows with NaN, with +inf and of -inf only follow the policy, and leave the other rows alone."""
    x = [[nan, 0.0], [inf, 0.0], [-inf, -inf], [0.0, 0.0]]
    for policy in ("nan", "limit", "masked", "zero"):
        limit = [1, 0] if policy == "limit" else [mpmath.nan] * 2
        masked = [0, 0] if policy == "masked" else [mpmath.nan] * 2
        assert_close(value("softmax", x, policy=policy), [[mpmath.nan] * 2, limit, masked, [0.5, 0.5]])
        losses = value("cross_entropy", x, [0, 1, 0, 0], reduction="none", policy=policy)
        expected = [mpmath.inf if policy == p else mpmath.nan for p in ("never", "limit", "masked")]
        assert_close(losses[:3], expected)
        assert mpmath.isnan(value("cross_entropy", x, [0, 1, 0, 0], policy=policy)[()])
    up = [0.5, 1.0, 1.0, 1.0]
    rows = gradient("cross_entropy", x, [-100, 1, 0, 0], up, reduction="none")
    assert_close(rows, [[0, 0], [None] * 2, [None] * 2, [-0.5, 0.5]])
    assert_close(gradient("softmax", x[:1], None, [[0.0, 0.0]]), [[None, None]])


def test_nll_reads_its_own_entry_only() -> None:
    """Whatever stands beside the selected entry has no effect."""
    z = [[nan, 0.0], [inf, -0.5], [-1.0, -inf], [nan, 0.0]]
    assert_close(value("nll_loss", z, [1, 1, 1, 0], reduction="none"), [0, 0.5, mpmath.inf, mpmath.nan])
    rows = gradient("nll_loss", z, [1, 1, 1, 0], [0.5, 1.0, 2.0, 3.0], reduction="none")
    assert_close(rows, [[0, -0.5], [0, -1], [0, -2], [-3, 0]])


def test_the_limit_of_rows_with_infinite_logits() -> None:
    """The limit shares the mass between the infinite logits, and NaN goes before it."""
    x = [inf, 0.0, inf, -inf]
    log2 = value("smoothing_term", [0.0, 0.0])[()]
    assert_close(value("softmax", x, policy="limit"), [0.5, 0, 0.5, 0])
    with mpmath.workdps(80):
        assert_close(value("log_softmax", x, policy="limit"), [-log2, mpmath.ninf, -log2, mpmath.ninf])
    assert_close(value("cross_entropy", x, 2, policy="limit"), log2)
    assert_close(value("cross_entropy", x, 2, policy="limit", label_smoothing=0.1), mpmath.inf)
    assert_close(value("cross_entropy", [*x, nan], 2, policy="limit"), mpmath.nan)


def test_ignored_positions_and_empty_means() -> None:
    """Ignored positions are as if absent, and a mean over nothing follows the policy."""
    x = [[0.1, 0.9], [0.3, 0.2]]
    kept = value("cross_entropy", x[:1], [1], label_smoothing=0.1)
    assert_close(value("cross_entropy", x, [1, 0], ignore_index=0, label_smoothing=0.1), kept)
    for first, n in ((x, 2), (np.empty((0, 2)), 0)):
        target = np.full(n, -100)
        assert_close(value("cross_entropy", first, target), mpmath.nan)
        assert_close(value("cross_entropy", first, target, policy="zero"), 0)
        assert_close(value("cross_entropy", first, target, reduction="sum"), 0)
        assert_close(value("cross_entropy", first, target, reduction="none"), [0] * n)
        zeros = np.zeros((n, 2))
        assert_close(gradient("cross_entropy", first, target, 1.0), zeros * nan)
        assert_close(gradient("cross_entropy", first, target, 1.0, policy="zero"), zeros)
    assert_close(value("nll_loss", x, [0, 0], weight=[0.0, 1.0]), mpmath.nan)
    assert_close(value("nll_loss", x, [0, 0], weight=[0.0, 1.0], policy="zero"), 0)


@pytest.mark.parametrize("target", [[0, 2], [0, -1], [0], [0.0, 1.0]])
def test_targets_that_do_not_fit_are_refused(target: Any) -> None:
    """An index out of range and a target of another shape are errors."""
    with pytest.raises(ValueError, match="target"):
        value("cross_entropy", [[0.0, 1.0]] * 2, target)
