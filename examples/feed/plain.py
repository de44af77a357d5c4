"""A plain PyTorch loop over strop.feed.Loader that goes on where it stopped.

    python examples/feed/plain.py build/data/fashion/train.parquet --checkpoint run.pt --epochs 2

Stop it with Ctrl-C and start it again: it goes on with the next batch.
"""

import argparse
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from strop.feed import Loader, Transform


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--checkpoint", type=Path, default=Path("run.pt"))
    arguments = parser.parse_args()

    loader = Loader(arguments.data, batch_size=256, shuffle=True, seed=1,
                    transforms=[Transform("image", "normalise", scale=1 / 255, mean=0.286, std=0.353)])
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(net.parameters())
    first = 0
    if arguments.checkpoint.exists():
        saved = torch.load(arguments.checkpoint)
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        loader.load_state_dict(saved["loader"])
        first = saved["loader"]["epoch"]

    for epoch in range(first, arguments.epochs):
        loader.set_epoch(epoch)
        try:
            for batch in loader:
                loss = F.cross_entropy(net(batch["image"]), batch["label"])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        finally:
            torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "loader": loader.state_dict()},
                       arguments.checkpoint)
        print(f"epoch {epoch}: loss {loss.item():.3f}; {loader.stats()['verdict']}")


if __name__ == "__main__":
    main()
