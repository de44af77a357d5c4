"""Many processes in one study, some of which are killed: what tests/test_tune_processes.py looks at afterwards.

    tune_processes.py STORAGE FOLDER PROCESSES SECONDS SEED SAMPLER

Each process asks and tells, and after tell has returned writes "number value" to a file of its own in FOLDER, with
fsync. What it prints is in FOLDER too. Prints {"kills": n, "statuses": [exit statuses of those that were not killed]}.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

from strop.tune import Float, Space, Study


def work(storage: str, sampler: str, told: Path, stop: Path) -> None:
    space = Space({name: Float(0, 1) for name in "abcde"})
    study = Study(space, storage=storage, study_name="shared", sampler=sampler)
    values = random.Random(told.name)
    out = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while not stop.exists():
        trial = study.ask()
        value = values.random()
        study.tell(trial, value)
        os.write(out, f"{trial.number} {value!r}\n".encode())
        os.fsync(out)


def start(name: str, storage: str, sampler: str, folder: Path) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        printed = os.open(folder / f"{name}.printed", os.O_WRONLY | os.O_CREAT)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        work(storage, sampler, folder / f"{name}.told", folder / "stop")
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def main(storage: str, folder: Path, processes: int, seconds: float, seed: int, sampler: str) -> None:
    chance = random.Random(seed)
    children = [start(str(i), storage, sampler, folder) for i in range(processes)]
    kills = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(chance.uniform(0, 0.2))
        victim = chance.randrange(processes)
        os.kill(children[victim], signal.SIGKILL)
        os.waitpid(children[victim], 0)
        kills += 1
        children[victim] = start(str(processes + kills), storage, sampler, folder)
    (folder / "stop").touch()
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print(json.dumps({"kills": kills, "statuses": statuses}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
