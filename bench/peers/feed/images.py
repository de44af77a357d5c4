"""The image step in Python, as fast as the packages on PyPI do it on a CPU: what every peer but Strop runs.

libjpeg-turbo decodes (simplejpeg), torch resizes uint8 with antialiasing as torchvision does (its AVX2 kernel), OpenCV
splits the channels. Of simplejpeg, OpenCV and Pillow the first decodes fastest, and torch's resize takes a third of
the time of Pillow's; all of them let go of the interpreter. The crop is drawn as torchvision's RandomResizedCrop
draws it.
"""

import math

import cv2
import numpy as np
import simplejpeg
import torch

from data import CROP, MEAN, STD

SCALE = [np.float32(1 / (255 * std)) for std in STD]
SHIFT = [np.float32(mean / std) for mean, std in zip(MEAN, STD)]


def draw_crop(height, width, random):
    area = height * width
    for _ in range(10):
        target = area * random.uniform(0.08, 1)
        aspect = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < w <= width and 0 < h <= height:
            return random.randint(0, height - h), random.randint(0, width - w), h, w
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


def augment(encoded, random, out):
    """Decode, random resized crop, flip and normalise to `out`, float32 [3, CROP, CROP] of NumPy."""
    pixels = simplejpeg.decode_jpeg(encoded)
    top, left, height, width = draw_crop(*pixels.shape[:2], random)
    part = torch.from_numpy(pixels)[top:top + height, left:left + width].permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(part, (CROP, CROP), mode="bilinear", antialias=True)[0]
    interleaved = resized.permute(1, 2, 0).numpy()
    if random.random() < 0.5:
        interleaved = cv2.flip(interleaved, 1)
    for channel, scale, shift, to in zip(cv2.split(interleaved), SCALE, SHIFT, out):
        np.multiply(channel, scale, out=to, dtype=np.float32)
        to -= shift


def augment_all(encoded, random, out):
    """A batch of encoded images to `out`, a float32 tensor [n, 3, CROP, CROP]."""
    for one, to in zip(encoded, out.numpy()):
        augment(one, random, to)


def of_block(block):
    """A uint8 tensor as the images of a batch."""
    return block.view(torch.float32).view(-1, 3, CROP, CROP)


def split(batch):
    block, labels = batch
    return {"image": of_block(block), "label": labels}


def read(path):
    with open(path, "rb") as file:
        return file.read()
