"""`lossparity init`: a file with a function of the contract, to be edited, and the command that checks it.

What is written runs as it is, around the framework's own function. The templates are beside this module, in `shims`.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from lossparity.errors import UsageError, suggest
from lossparity.spec import DEFAULTS, OPERATIONS

__all__ = ["KINDS", "TEMPLATES", "Shim", "write"]

KINDS = ("function", "class", "tuple", "fused-linear")
_FUSED = {
    "numpy": ("hidden @ projection.T", "np.eye(classes, dtype=logits.dtype)"),
    "torch": ("hidden @ projection.T", "torch.eye(classes, dtype=logits.dtype, device=logits.device)"),
    "jax": ("hidden @ projection.T", "jnp.eye(classes, dtype=logits.dtype)"),
    "tensorflow": ("tf.matmul(hidden, projection, transpose_b=True)", "tf.eye(classes, dtype=logits.dtype)"),
}
TEMPLATES = {
    "framework": tuple(_FUSED),
    "kind": KINDS,
    "operation": ("softmax", "log_softmax", "nll_loss", "cross_entropy"),
}
"""What there are templates of, by the name of the option that chooses it."""


@dataclass(frozen=True)
class Shim:
    """What is to be written: for whose tensors, around what kind of function, for which operation, into which file."""

    path: Path
    framework: str
    kind: str
    operation: str

    def check(self) -> None:
        """Raise UsageError for what there is no template of."""
        for noun, known in TEMPLATES.items():
            word = getattr(self, noun)
            if word not in known:
                raise UsageError(f"no shim for the {noun} {word!r}", hint=suggest(word, known, noun))
        if self.kind == "fused-linear" and self.operation != "cross_entropy":
            raise UsageError(f"no fused linear form of {self.operation}", hint="leave out --operation")
        if self.path.suffix != ".py":
            raise UsageError("a shim is a file of Python", where=str(self.path), hint="name it *.py")

    @property
    def command(self) -> str:
        """The command that checks it."""
        words = ["lossparity", "check", f"{self.path}:{self.operation}", "--framework", self.framework]
        if self.operation != "cross_entropy":
            words += ["--operation", self.operation]
        if self.kind == "tuple":
            words += ["--returns", "0"]
        supports = [*(["finite", "2d"] if self.kind == "fused-linear" else [])]
        if (self.framework, self.operation) == ("torch", "cross_entropy"):
            supports.append("indices")  # PyTorch's own is NaN where a class without target mass is masked with -inf
        return shlex.join([*words, *(["--supports", ",".join(supports)] if supports else [])])

    def text(self) -> str:
        """Return the file's content."""
        from jinja2 import Environment, PackageLoader, StrictUndefined

        loader = PackageLoader("lossparity", "shims")
        templates = Environment(
            loader=loader, trim_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined, autoescape=False
        )
        operation = OPERATIONS[self.operation]
        keywords = [name for name in DEFAULTS if name in operation.keywords]
        signature = ", ".join(["*", *(f"{name}={_literal(DEFAULTS[name])}" for name in keywords)])
        product, identity = _FUSED[self.framework]
        return templates.get_template("shim.py.jinja").render(
            operation=self.operation,
            framework=self.framework,
            kind=self.kind,
            command=self.command,
            first=operation.first,
            arguments=f"{operation.first}, target" if operation.target else operation.first,
            after=", target" if operation.target else "",
            signature=f", {signature}" if keywords else "",
            own_signature=", *, weight=None, **keywords" if keywords else "",
            passed="".join(f", {name}={name}" for name in keywords),
            keywords="{" + ", ".join(f'"{name}": {name}' for name in keywords) + "}",
            product=product,
            identity=identity,
        )


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def write(shim: Shim, *, force: bool) -> None:
    """Write the file; UsageError where one is there already and it is not to be replaced."""
    shim.check()
    try:
        with shim.path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(shim.text())
    except FileExistsError:
        raise UsageError(
            "the file is there already", where=str(shim.path), hint="--force writes over it; or name another"
        ) from None
    except OSError as error:
        raise UsageError(f"the shim cannot be written: {error.strerror}", where=str(shim.path)) from None
