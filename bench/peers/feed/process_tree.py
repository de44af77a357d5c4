"""What a process and all its children use, from /proc."""

import os

TICK = os.sysconf("SC_CLK_TCK")


def children_of():
    """Parent -> its children, of all processes now."""
    made = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := stat(int(name))):
            made.setdefault(int(fields[1]), []).append(int(name))
    return made


def stat(pid):
    """The fields of /proc/PID/stat from the state on; none when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def tree(root):
    children, found = children_of(), [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def cpu_seconds(root):
    """User and system time, with that of children that ended and were waited for."""
    times = [stat(pid) for pid in tree(root)]
    return sum(sum(map(int, fields[11:15])) for fields in times if fields) / TICK


def memory(root):
    """Bytes of the proportional set size: anonymous and shared memory; pages of files, which the kernel may drop."""
    total = {"Pss_Anon": 0, "Pss_Shmem": 0, "Pss_File": 0}
    for pid in tree(root):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                for line in file:
                    name, _, rest = line.partition(":")
                    if name in total:
                        total[name] += 1024 * int(rest.split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total["Pss_Anon"] + total["Pss_Shmem"], total["Pss_File"]
