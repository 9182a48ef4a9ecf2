"""Linear layers on a frozen encoder, trained on a few labelled windows.

Letters: W windows, D embedding, K classes, H heads (one per draw and number of shots), B batch, A heads still learning.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from utils.optim import cosine_annealing


@dataclass(frozen=True)
class LinearHeads:
    """H linear layers side by side.

    Attributes:
        weight: (H, K, D).
        bias: (H, K).
        epochs: for each head the epoch, from 1, after which it was taken.
    """

    weight: Tensor
    bias: Tensor
    epochs: list[int]

    def logits(self, head: int, embeddings: Tensor) -> Tensor:
        """(n, K) from (n, D)."""
        return torch.addmm(self.bias[head], embeddings, self.weight[head].T)


def embed_imu(encoder: nn.Module, imu: Tensor, batch_size: int = 512) -> Tensor:
    """Embeddings of windows by a frozen encoder.

    The encoder is put into eval mode and stays there: no dropout, no masking, and the running statistics of its
    normalisation layers do not move.

    Args:
        encoder: (B, 6, T) -> (B, D).
        imu: (W, 6, T), on any device; a batch at a time goes to the encoder's.

    Returns:
        (W, D) float32 on the encoder's device.
    """
    device = next(encoder.parameters()).device
    encoder.eval()
    with torch.inference_mode():
        parts = [encoder(part.to(device)).float() for part in imu.split(batch_size)]
    return torch.cat(parts)


def train_linear_heads(
    embeddings: Tensor,
    labels: Tensor,
    sets: Sequence[Tensor],
    seeds: Sequence[int],
    num_classes: int,
    epochs: int,
    batch_size: int,
    lr: float,
    weight_decay: float,
    standardize: bool = False,
    select: Sequence[Tensor] | None = None,
    least_lr: float | None = None,
    class_weight: Tensor | None = None,
) -> LinearHeads:
    """Train a linear layer on each set of windows, all of them at once.

    Each is what ``nn.Linear`` with its usual initialisation, cross entropy and AdamW gives on shuffled batches (a last
    smaller one included); which heads are trained beside it changes nothing. The cost of the grid is that of its
    longest head: one product of small matrices per step, and the closed form of the gradient,
    (softmax - one-hot) / B times the embedding.

    Args:
        embeddings: (W, D).
        labels: (W,) int64 classes in 0..K-1.
        sets: for each head the positions of its windows, (n,) int64; the sizes may differ.
        seeds: for each head the seed of its initial weights and of its batches.
        standardize: z-score each dimension by the mean and standard deviation of the head's own windows. An encoder
            whose embeddings hardly vary, as one with random weights, learns next to nothing without. What is returned
            takes embeddings as they are all the same.
        select: for each head the positions of windows that choose its epoch, the first with the most of them right;
            without, or where there are none, it is the last.
        least_lr: towards which each head's rate falls like half a cosine over its own steps; None: the rate stays.
        class_weight: (K,) factor of the loss of each class's windows; None: 1.
    """
    device = embeddings.device
    order = sorted(range(len(sets)), key=lambda h: -len(sets[h]))  # the longest first: those still learning are [:A]
    plans = [shuffled_batches(sets[h], epochs, batch_size, seeds[h]) for h in order]
    steps = [len(plan) for plan in plans]
    plan = nn.utils.rnn.pad_sequence(plans, batch_first=True, padding_value=-1)
    share = (plan >= 0).to(embeddings.dtype)  # weight of each row in its batch's mean
    share = (share / share.sum(dim=2, keepdim=True).clamp(min=1)).to(device)
    plan = plan.clamp(min=0).to(device)
    if class_weight is not None:
        share *= class_weight.to(share)[labels][plan]

    scale = embeddings.new_ones(len(order), embeddings.shape[1] + 1)  # of each head's input, and of the column of ones
    shift = torch.zeros_like(scale)
    if standardize:
        for head, h in enumerate(order):
            own = embeddings[sets[h].to(device)]
            shift[head, :-1] = own.mean(dim=0)
            scale[head, :-1] = own.std(dim=0, correction=0).clamp(min=1e-6)  # a dimension may be constant
    # a column of ones makes the bias one more weight
    rows = torch.cat([embeddings, embeddings.new_ones(len(embeddings), 1)], dim=1)
    one_hot = torch.eye(num_classes, device=device, dtype=rows.dtype)[labels]
    weight = torch.stack([initial_weight(num_classes, embeddings.shape[1], seeds[h]) for h in order]).to(rows)
    gradient = torch.zeros_like(weight)
    heads = [nn.Parameter(own) for own in weight]  # views: a step of the optimizer moves ``weight``
    for head, own in zip(heads, gradient, strict=True):
        head.grad = own
    groups = [  # heads of as many steps share their rate at each
        {"params": [head for head, own in zip(heads, steps, strict=True) if own == total], "steps": total}
        for total in dict.fromkeys(steps)
    ]
    optimizer = torch.optim.AdamW(groups, lr=lr, weight_decay=weight_decay, fused=True)

    learning = len(heads)
    held = [(select[h] if select else sets[h][:0]).to(device) for h in order]
    most, taken, best = [-1] * len(heads), [epochs] * len(heads), list(weight)
    with torch.no_grad():
        for step in range(max(steps)):
            while steps[learning - 1] <= step:
                learning -= 1
                heads[learning].grad = None  # done: the optimizer passes over it
            batch = plan[:learning, step]  # (A, B)
            x = rows[batch]  # (A, B, D + 1)
            if standardize:
                x = (x - shift[:learning, None]) / scale[:learning, None]
            error = torch.softmax(torch.bmm(x, weight[:learning].mT), dim=2) - one_hot[batch]  # (A, B, K)
            error *= share[:learning, step, :, None]
            torch.bmm(error.mT, x, out=gradient[:learning])
            for group in optimizer.param_groups:
                group["lr"] = cosine_annealing(step, group["steps"], lr, least_lr)
            optimizer.step()
            for h in range(learning):
                epoch, left = divmod((step + 1) * epochs, steps[h])
                if left == 0 and len(held[h]):
                    x = (rows[held[h]] - shift[h]) / scale[h]
                    right = int(((x @ weight[h].T).argmax(1) == labels[held[h]]).sum())
                    if right > most[h]:
                        most[h], taken[h], best[h] = right, epoch, weight[h].clone()
    weight = torch.stack(best)
    weight /= scale[:, None]  # w (x - shift) / scale + b = (w / scale) x + (b - (w / scale) shift)
    weight[:, :, -1] -= (weight @ shift[:, :, None])[:, :, 0]
    place = sorted(range(len(order)), key=order.__getitem__)  # of each set among the heads
    weight = weight[place]
    return LinearHeads(weight[:, :, :-1].contiguous(), weight[:, :, -1].contiguous(), [taken[h] for h in place])


def initial_weight(num_classes: int, dim: int, seed: int) -> Tensor:
    """(K, D + 1) weight and, last, bias: uniform within 1/sqrt(D), as nn.Linear begins."""
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.rand(num_classes, dim + 1, generator=generator) - 1) / dim**0.5


def shuffled_batches(windows: Tensor, epochs: int, batch_size: int, seed: int) -> Tensor:
    """(steps, B) positions, a new order every epoch; an epoch's last batch is filled up with -1."""
    generator = torch.Generator().manual_seed(seed)
    steps = -(-len(windows) // batch_size)
    plan = torch.full((epochs, steps * batch_size), -1)
    for epoch in range(epochs):
        plan[epoch, : len(windows)] = windows[torch.randperm(len(windows), generator=generator)]
    return plan.view(epochs * steps, batch_size)
