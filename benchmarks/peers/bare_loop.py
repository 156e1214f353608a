"""A bare PyTorch loop over an array in memory: what an expert writes first, and the yardstick of overhead."""

import torch
from measure import BATCH, RATE, Clock, arguments, report, train_images
from nets import count, halves, shape
from torch import nn
from torch.nn import functional as F

args = arguments()
# Convolutions on a CPU want channels_last; without it this loop would be an easy one to beat.
layout = torch.channels_last if args.net == "conv" else torch.contiguous_format
data = torch.from_numpy(train_images(args.data)).reshape(-1, *shape(args.net)).to(args.device)
torch.manual_seed(0)
model = nn.Sequential(*halves(args.net)).to(args.device, memory_format=layout)
optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
clock, enough = Clock(args.seconds, wait=torch.cuda.synchronize if args.device == "cuda" else lambda: None), False

while not enough:
    for rows in torch.randperm(len(data), device=args.device).split(BATCH):
        x = data[rows].float().div_(255)
        loss = F.mse_loss(model(x), x)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if enough := clock.tick():
            break

report(
    steps=clock.steps,
    seconds=clock.elapsed,
    all_steps=clock.all_steps,
    parameters=count(model),
    loss=loss.item(),
    versions=f"torch {torch.__version__}",
)
