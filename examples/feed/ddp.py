"""DistributedDataParallel over strop.feed.Loader: RANK and WORLD_SIZE are torchrun's, and every rank takes equal steps.

    torchrun --nproc_per_node 2 examples/feed/ddp.py build/data/fashion/train.parquet
"""

import argparse

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from strop.feed import Loader, Transform


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=256)
    arguments = parser.parse_args()

    dist.init_process_group("gloo")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    loader = Loader(arguments.data, batch_size=arguments.batch_size, shuffle=True, seed=1,
                    transforms=[Transform("image", "normalise", scale=1 / 255, mean=0.286, std=0.353)])
    net = DistributedDataParallel(nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10)))
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)

    for epoch in range(arguments.epochs):
        loader.set_epoch(epoch)
        planned, steps, rows = len(loader), 0, 0
        for batch in loader:
            loss = F.cross_entropy(net(batch["image"]), batch["label"])
            optimizer.zero_grad()
            loss.backward()  # gradients are averaged here: a rank with fewer steps would hang the others
            optimizer.step()
            steps += 1
            rows += len(batch["label"])
        counts = [None] * dist.get_world_size()
        dist.all_gather_object(counts, (planned, steps, rows))
        if dist.get_rank() == 0:
            print(f"epoch {epoch}: loss {loss.item():.3f}, (planned, steps, rows) of each rank {counts}", flush=True)
            assert len({steps for _, steps, _ in counts}) == 1 and all(p == s for p, s, _ in counts)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
