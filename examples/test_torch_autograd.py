"""A cross-entropy for PyTorch with its gradient by hand, under the suite: `pytest examples/test_torch_autograd.py`."""

import torch

import lossparity


class RowLosses(torch.autograd.Function):
    """The losses of rows, classes last. It keeps the probabilities, and writes the gradient in their place."""

    @staticmethod
    def forward(ctx, x, label, own, share):
        """`own` is the coefficient of the label, 0 where a row is ignored, and `share` that of every class."""
        z = x - x.amax(-1, keepdim=True)
        z -= z.exp().sum(-1, keepdim=True).log()
        losses = -(times(own, z.gather(-1, label)) + times(share, z).sum(-1, keepdim=True))
        ctx.label, ctx.own, ctx.share, ctx.p = label, own, share, z.exp_()
        return losses.squeeze(-1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        gradient = ctx.p.mul_(ctx.own + ctx.share.sum(-1, keepdim=True)).sub_(ctx.share)
        gradient.scatter_add_(-1, ctx.label, -ctx.own)
        return gradient.mul_(upstream.unsqueeze(-1)), None, None, None


def times(coefficient, z):
    """A class that does not count adds 0, also where it is masked with -inf."""
    return torch.where(coefficient == 0, 0, coefficient * z)


@lossparity.conforms(framework="torch", supports=["indices"])
def cross_entropy(logits, target, *, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    x = logits.movedim(min(1, logits.dim() - 1), -1)
    x = x.float() if x.itemsize < 4 else x  # 16 bits are for storage
    classes = x.shape[-1]
    w = x.new_ones(classes) if weight is None else weight.to(x.dtype)
    counts = target != ignore_index
    label = torch.where(counts, target, 0).long()
    if ((label < 0) | (label >= classes)).any():
        raise IndexError(f"a target is outside of [0, {classes})")
    own = torch.where(counts, w[label], 0).unsqueeze(-1)
    share = torch.where(counts.unsqueeze(-1), w * (label_smoothing / classes), 0)
    losses = RowLosses.apply(x, label.unsqueeze(-1), (1 - label_smoothing) * own, share)
    if reduction == "none":
        return losses.to(logits.dtype)
    if reduction == "sum":
        return losses.sum().to(logits.dtype)
    divisor = own.sum()  # a mean over nothing is NaN, also where the smoothing leaves something above it
    return (losses.sum() / torch.where(divisor == 0, torch.nan, divisor)).to(logits.dtype)
