"""Trains a small network to tell two interleaved spirals apart. It knows nothing of Strop: its parameters come by the
command line, and the last accuracy that it prints counts.

    python train.py --lr 0.05
    strop tune                               # searches what strop.toml says
    strop tune -- python train.py --lr {lr}  # the learning rate alone; the rest stays as it is here
"""

import argparse

import numpy as np


def spirals(rows: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    label = np.arange(rows) % 2
    turn = np.sqrt(generator.uniform(0.05, 1, rows)) * 3 * np.pi
    place = np.stack([turn * np.cos(turn + np.pi * label), turn * np.sin(turn + np.pi * label)], 1) / 5
    return place + generator.normal(0, 0.05, place.shape), label


def forward(weights: list, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    hidden = np.tanh(x @ weights[0] + weights[1])
    return hidden, 1 / (1 + np.exp(-np.clip(hidden @ weights[2] + weights[3], -50, 50)))


def gradients(weights: list, x: np.ndarray, label: np.ndarray) -> list:
    hidden, probability = forward(weights, x)
    wrong = (probability - label[:, None]) / len(label)
    behind = wrong @ weights[2].T * (1 - hidden**2)
    return [x.T @ behind, behind.sum(0), hidden.T @ wrong, wrong.sum(0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--hidden", type=int, default=16)
    parser.add_argument("--optimizer", choices=["sgd", "adam"], default="adam")
    parser.add_argument("--momentum", type=float, default=0.0, help="of sgd")
    parser.add_argument("--epochs", type=int, default=300)
    arguments = parser.parse_args()

    generator = np.random.default_rng(0)
    x, label = spirals(600, generator)
    held_x, held_label = spirals(600, generator)
    shapes = [(2, arguments.hidden), (arguments.hidden,), (arguments.hidden, 1), (1,)]
    weights = [generator.normal(0, 1, shape) for shape in shapes]
    first, second = [np.zeros(shape) for shape in shapes], [np.zeros(shape) for shape in shapes]
    for epoch in range(1, arguments.epochs + 1):
        for i, gradient in enumerate(gradients(weights, x, label)):
            if arguments.optimizer == "sgd":
                first[i] = arguments.momentum * first[i] + gradient
                weights[i] -= arguments.lr * first[i]
            else:
                first[i] += 0.1 * (gradient - first[i])
                second[i] += 0.001 * (gradient**2 - second[i])
                scale = np.sqrt(second[i] / (1 - 0.999**epoch)) + 1e-8
                weights[i] -= arguments.lr * first[i] / (1 - 0.9**epoch) / scale
        if epoch % 50 == 0 or epoch == arguments.epochs:
            accuracy = np.mean((forward(weights, held_x)[1][:, 0] > 0.5) == held_label)
            print(f"epoch {epoch}: accuracy={accuracy:.4f}", flush=True)


if __name__ == "__main__":
    main()
