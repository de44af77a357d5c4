"""The ground of bench/peers/tune, for the claims that stand on it."""

import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[1]
sys.path[1:1] = [str(BENCH / "peers/tune"), str(BENCH)]
