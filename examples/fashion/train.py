"""Trains a small convolutional network on Fashion-MNIST: a plain PyTorch script, tuned by `strop tune`.

By hand:  python train.py --train train.parquet --validation test.parquet --learning_rate 0.002
"""

import torch
from torch import nn
from torch.nn import functional as F

import strop
from strop.feed import Loader


class Net(nn.Module):
    """Takes the raw bytes of the images: the exported model carries its own preprocessing."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.hidden = nn.Linear(2 * width * 7 * 7, 128)
        self.head = nn.Linear(128, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = image.float() / 255
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.head(F.relu(self.hidden(torch.flatten(x, 1))))


@torch.no_grad()
def accuracy(net: Net, loader: Loader) -> float:
    right = total = 0
    for batch in loader:
        right += (net(batch["image"]).argmax(1) == batch["label"]).sum().item()
        total += len(batch["label"])
    return right / total


def main() -> None:
    trial = strop.trial(defaults={"learning_rate": 2e-3, "width": 16, "batch_size": 128})
    params = trial.params
    torch.manual_seed(trial.seed)
    train = Loader(trial.data["train"], batch_size=params["batch_size"], shuffle=True, seed=trial.seed)
    validation = Loader(trial.data["validation"], batch_size=1000)

    net = Net(params["width"])
    steps = max(1, round(trial.budget * len(train)))
    optimizer = torch.optim.AdamW(net.parameters(), lr=params["learning_rate"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, params["learning_rate"], total_steps=steps)
    report_every = max(1, min(steps // 2, len(train)))

    step = 0
    while step < steps and not trial.should_stop():
        for batch in train:
            loss = F.cross_entropy(net(batch["image"]), batch["label"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            step += 1
            if step % report_every == 0 or step == steps:
                trial.report(accuracy(net, validation), step)
            if step == steps or trial.should_stop():
                break

    example = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    path = trial.out_dir / "model.onnx"
    torch.onnx.export(net.eval(), (example,), str(path), dynamo=False, opset_version=20, input_names=["image"],
                      output_names=["logits"], dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}})
    trial.save(model=path)


if __name__ == "__main__":
    main()
