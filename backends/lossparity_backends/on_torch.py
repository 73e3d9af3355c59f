"""PyTorch, CPU and CUDA: the library's functions, and the worked example's chain by hand."""

from __future__ import annotations

import platform
from typing import Any, Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from lossparity.formats import Array
from lossparity.framework import COMPOSED, MANUAL, NATIVE, Entry, Implementation, Phrases, Unsupported
from lossparity.model import Keyword
from lossparity_backends.calls import key, worked_example

__all__ = ["Torch"]


_MOST_VARIANTS = 64  # of formats, shapes and keywords; all of them count against one limit of Dynamo's


class Torch:
    """The PyTorch adapter, for the devices `cpu` and `cuda`."""

    name = "torch"

    def __init__(self, device: str) -> None:
        kind, _, number = device.partition(":")
        if kind not in ("cpu", "cuda"):
            raise Unsupported(f"PyTorch is judged on cpu and cuda, not on {device!r}")
        if kind == "cuda" and not torch.cuda.is_available():
            raise Unsupported("this PyTorch sees no CUDA device")
        if number and not (number.isdigit() and int(number) < (torch.cuda.device_count() if kind == "cuda" else 1)):
            raise Unsupported(f"PyTorch has no device {device!r}")
        self._device = torch.device(device)
        self._compiled: dict[Any, Callable[..., Any]] = {}
        self._variants: set[Any] = set()
        self._over: Tensor | None = None  # as large as two L2 caches, for emptying one

    def pin(self) -> Mapping[str, str]:
        """One thread, and binary32 products in binary32 (no TF32)."""
        torch.set_num_threads(1)
        torch.set_float32_matmul_precision("highest")
        return {"threads": "1", "matmul precision": "highest"}

    def describe(self) -> Mapping[str, str]:
        """Return the version, the device and the traits."""
        on_cuda = self._device.type == "cuda"
        device = torch.cuda.get_device_name(self._device) if on_cuda else platform.machine()
        capability = torch.backends.cpu.get_cpu_capability()
        return {"torch": torch.__version__, "device": device, "simd": capability, "subnormals": "gradual"}

    def to_device(self, array: Array) -> Tensor:
        """Copy the data to the device; bfloat16 by its bits."""
        if array.format == "bfloat16":
            tensor = torch.from_numpy(array.data.copy().view("<i2")).view(torch.bfloat16)
        else:
            tensor = torch.from_numpy(array.data.copy())
        return tensor.to(self._device)

    def arranged(self, tensor: Tensor, layout: str) -> Tensor:
        """Return the same numbers with gaps, with the first axis fastest, or within a larger tensor."""
        if layout == "transposed":
            axes = tuple(reversed(range(tensor.ndim)))
            return tensor.permute(axes).contiguous().permute(axes)
        unread = float("nan") if tensor.is_floating_point() else -7
        if layout == "strided":
            wide = tensor.new_full((*tensor.shape[:-1], 2 * tensor.shape[-1]), unread)
            wide[..., ::2] = tensor
            return wide[..., ::2]
        flat = tensor.new_full((tensor.numel() + 3,), unread)
        flat[3:] = tensor.flatten()
        return flat[3:].view(tensor.shape)

    def to_numpy(self, tensor: Any) -> Array:
        """Bring a tensor back; bfloat16 by its bits."""
        held = tensor.detach().cpu().contiguous()
        if held.dtype is torch.bfloat16:
            return Array("bfloat16", held.view(torch.int16).numpy().view("<u2"))
        data = held.numpy()
        return Array(str(data.dtype.name), data)

    def vjp(
        self, function: Callable[..., Any], first: Tensor, rest: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Call the function under autograd."""
        leaf = first.detach().requires_grad_()
        value = function(leaf, *rest, **keywords)

        def pullback(upstream: Tensor) -> Tensor:
            (gradient,) = torch.autograd.grad(value, leaf, upstream.to(value.dtype))
            return gradient

        return value, pullback

    def use_threads(self, number: int) -> None:
        """Compute with so many threads."""
        torch.set_num_threads(number)

    def synchronise(self, tensor: Tensor) -> None:  # noqa: ARG002 - it waits for all that was asked of the device
        """Wait until a tensor is computed; on the CPU operations return after that."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def peak_memory(self, work: Callable[[], None]) -> int | None:
        """Return what the caching allocator gave out at most during some work, in bytes; none on the CPU, undone."""
        if self._device.type != "cuda":
            return None
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        work()
        return torch.cuda.max_memory_allocated(self._device) - before

    def device_clock(self, work: Callable[[], Any], cold: bool) -> tuple[float, Any] | None:
        """Return the seconds of some work by CUDA's events, and its result; `cold` overwrites the L2 cache before."""
        if self._device.type != "cuda":
            return None
        if cold:
            over = self._over
            if over is None:
                size = 2 * torch.cuda.get_device_properties(self._device).L2_cache_size
                over = self._over = torch.empty(size, dtype=torch.uint8, device=self._device)
            over.zero_()
            torch.cuda.synchronize(self._device)
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        began.record()
        result = work()
        ended.record()
        ended.synchronize()
        return began.elapsed_time(ended) / 1000, result

    def compiler(self) -> str:
        """Inductor, which needs a C++ compiler on the CPU; one process compiles, since there is little to compile."""
        import torch._dynamo
        from torch._inductor import config

        config.compile_threads = 1
        torch._dynamo.config.recompile_limit = _MOST_VARIANTS
        if self._device.type != "cpu":
            return f"inductor of PyTorch {torch.__version__}"
        from torch._inductor.cpp_builder import get_cpp_compiler

        try:
            return f"inductor of PyTorch {torch.__version__}, {get_cpp_compiler()}"
        except Exception as error:
            raise Unsupported(f"torch.compile finds no C++ compiler: {_first_line(error)}") from error

    def compile(self, function: Callable[..., Any], keywords: Mapping[str, Keyword]) -> Callable[..., Any]:
        """Return the function under `torch.compile`, whole and for static shapes; a graph break is unsupported."""
        from torch._dynamo import exc

        if key(function, keywords) not in self._compiled:

            def bound(*given: Any, **more: Any) -> Any:
                return function(*given, **keywords, **more)

            self._compiled[key(function, keywords)] = torch.compile(bound, fullgraph=True, dynamic=False)
        whole = self._compiled[key(function, keywords)]

        def compiled(*given: Any, **more: Any) -> Any:
            self._count(key(function, keywords), given, more)
            try:
                return whole(*given, **more)
            except (exc.Unsupported, exc.UserError) as error:
                raise Unsupported(f"torch.compile: {_first_line(error)}") from error

        return compiled

    def _count(self, compiled: Any, given: tuple[Any, ...], more: Mapping[str, Any]) -> None:
        """Forget what is compiled before Dynamo would: past its limit of recompilations it gives up on a function."""
        tensors = [*given, *more.values()]
        self._variants.add((compiled, tuple(more), tuple((x.dtype, x.shape) for x in tensors)))
        if len(self._variants) >= _MOST_VARIANTS:
            torch._dynamo.reset()
            self._variants = {(compiled, tuple(more), tuple((x.dtype, x.shape) for x in tensors))}

    @property
    def phrases(self) -> Phrases:
        """How calls are written as a script."""
        to = "" if self._device.type == "cpu" else f".to({str(self._device)!r})"
        return Phrases(
            imports=("import torch",),
            settings=("torch.set_num_threads(1)",),
            tensor="torch.from_numpy({array})" + to,
            bfloat16="torch.from_numpy({array}.view(np.int16)).view(torch.bfloat16)" + to,
            call=("{first}.requires_grad_()", "value = {call}"),
            gradient=("(gradient,) = torch.autograd.grad(value, {first}, upstream.to(value.dtype))",),
            numbers="{tensor}.detach().cpu().double().numpy()",
            format='str({tensor}.dtype).replace("torch.", "")',
            version="torch.__version__",
        )

    @property
    def implementations(self) -> Mapping[str, Implementation]:
        """The library's functions, and the chain of the worked example."""
        return {"": _LIBRARY, "manual": _MANUAL}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _axis(x: Tensor) -> int:
    return min(1, x.ndim - 1)


def _wide(x: Tensor) -> torch.dtype:
    # Sums that are ours are kept in binary32 for 16-bit formats: an overflow must be the framework's own.
    return torch.float32 if x.dtype.itemsize == 2 else x.dtype


def _softmax(x: Tensor) -> Tensor:
    return functional.softmax(x, dim=_axis(x))


def _log_softmax(x: Tensor) -> Tensor:
    return functional.log_softmax(x, dim=_axis(x))


def _one_hot(x: Tensor, target: Tensor) -> Tensor:
    return functional.one_hot(target, x.shape[_axis(x)]).movedim(-1, _axis(x)).to(x.dtype)


def _row_sum(x: Tensor) -> Tensor:
    return torch.sum(torch.exp(x), dim=_axis(x), dtype=_wide(x)).to(x.dtype)


def _log_softmax_row_sum(x: Tensor) -> Tensor:
    return torch.sum(_log_softmax(x), dim=_axis(x), dtype=_wide(x)).to(x.dtype)


def _smoothing_term(x: Tensor, reduction: str = "mean") -> Tensor:
    rows = -torch.mean(_log_softmax(x), dim=_axis(x), dtype=_wide(x))
    return _reduced(rows, reduction).to(x.dtype)


def _reduced(losses: Tensor, reduction: str) -> Tensor:
    total = losses if reduction == "none" else torch.sum(losses)
    return total / losses.numel() if reduction == "mean" else total


# The worked example, stage by stage, in the format itself: nothing is shifted, so exp overflows early.


def _hand_p(x: Tensor) -> Tensor:
    e = torch.exp(x)
    return e / torch.sum(e, dim=1, keepdim=True)


def _hand_z(x: Tensor) -> Tensor:
    return torch.log(_hand_p(x))


def _hand_row_sum(x: Tensor) -> Tensor:
    return torch.sum(torch.exp(x), dim=1)


def _hand_log_softmax_row_sum(x: Tensor) -> Tensor:
    return torch.sum(_hand_z(x), dim=1)


def _hand_nll(z: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    return _reduced(-torch.sum(_one_hot(z, target) * z, dim=1), reduction)


def _hand_smoothing_term(x: Tensor, reduction: str = "mean") -> Tensor:
    return _reduced(-torch.sum(_hand_z(x), dim=1), reduction) / x.shape[1]


def _hand_cross_entropy(x: Tensor, target: Tensor, label_smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    nll = _hand_nll(_hand_z(x), target, reduction)
    if not label_smoothing:
        return nll
    return label_smoothing * _hand_smoothing_term(x, reduction) + (1 - label_smoothing) * nll


_LIBRARY: Implementation = {
    "softmax": (Entry(_softmax, "torch.nn.functional.softmax", NATIVE),),
    "log_softmax": (Entry(_log_softmax, "torch.nn.functional.log_softmax", NATIVE),),
    "nll_loss": (Entry(functional.nll_loss, "torch.nn.functional.nll_loss", NATIVE),),
    "cross_entropy": (Entry(functional.cross_entropy, "torch.nn.functional.cross_entropy", NATIVE),),
    "one_hot": (Entry(_one_hot, "torch.nn.functional.one_hot, Tensor.to", COMPOSED),),
    "exp": (Entry(torch.exp, "torch.exp", NATIVE),),
    "row_sum": (Entry(_row_sum, "torch.exp, torch.sum", COMPOSED),),
    "log_softmax_row_sum": (Entry(_log_softmax_row_sum, "torch.nn.functional.log_softmax, torch.sum", COMPOSED),),
    "smoothing_term": (Entry(_smoothing_term, "torch.nn.functional.log_softmax, torch.mean", COMPOSED),),
}

_MANUAL: Implementation = {
    name: (Entry(function, api, MANUAL, worked_example),)
    for name, function, api in (
        ("softmax", _hand_p, "exp / sum"),
        ("log_softmax", _hand_z, "log(exp / sum)"),
        ("nll_loss", _hand_nll, "-sum(onehot * z)"),
        ("cross_entropy", _hand_cross_entropy, "-sum(onehot * log(exp / sum)), LabelSmoothing_CrossEntropy"),
        ("one_hot", _one_hot, "torch.nn.functional.one_hot"),
        ("exp", torch.exp, "torch.exp"),
        ("row_sum", _hand_row_sum, "torch.exp, torch.sum"),
        ("log_softmax_row_sum", _hand_log_softmax_row_sum, "sum(log(exp / sum))"),
        ("smoothing_term", _hand_smoothing_term, "-sum(log(exp / sum)) / K"),
    )
}
