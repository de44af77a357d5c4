"""Hugging Face Accelerate over strop.feed.Loader: it goes on where it stopped, also with another number of processes.

    pip install torch accelerate
    accelerate launch --multi_gpu --num_processes 2 examples/feed/hf_accelerate.py build/data/fashion/train.parquet

Without GPUs put ACCELERATE_USE_CPU=1 before it: `accelerate launch --cpu` starts one process, whatever its
--num_processes. Only the model and the optimizer go through `prepare`; the loader takes this process's share by itself.
Its state is the same in every process, so the one that `save_state` writes is good for all of them.
"""

import argparse
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn
from torch.nn import functional as F

from strop.feed import Loader, Transform


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoint"))
    parser.add_argument("--save-every", type=int, default=50, metavar="STEPS")
    parser.add_argument("--stop-after", type=int, metavar="STEPS", help="end early, as a job that was preempted")
    arguments = parser.parse_args()

    accelerator = Accelerator()
    torch.manual_seed(0)
    loader = Loader(arguments.data, batch_size=arguments.batch_size, shuffle=True, seed=1,
                    rank=accelerator.process_index, world_size=accelerator.num_processes, device=accelerator.device,
                    transforms=[Transform("image", "normalise", scale=1 / 255, mean=0.286, std=0.353)])
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    net, optimizer = accelerator.prepare(net, torch.optim.Adam(net.parameters(), lr=2e-3))
    accelerator.register_for_checkpointing(loader)
    if arguments.checkpoint.exists():
        accelerator.load_state(arguments.checkpoint)

    done = 0
    for epoch in range(loader.state_dict()["epoch"], arguments.epochs):
        loader.set_epoch(epoch)
        steps = rows = 0
        for batch in loader:
            loss = F.cross_entropy(net(batch["image"]), batch["label"])
            optimizer.zero_grad()
            accelerator.backward(loss)  # gradients are averaged here: a rank with fewer steps would hang the others
            optimizer.step()
            steps, rows, done = steps + 1, rows + len(batch["label"]), done + 1
            if done % arguments.save_every == 0:
                accelerator.save_state(arguments.checkpoint)
            if done == arguments.stop_after:
                return accelerator.end_training()
        counts = accelerator.gather(torch.tensor([[steps, rows]], device=accelerator.device)).tolist()
        accelerator.print(f"epoch {epoch}: [steps, rows] of each rank {counts}")
        accelerator.save_state(arguments.checkpoint)
    accelerator.end_training()


if __name__ == "__main__":
    main()
