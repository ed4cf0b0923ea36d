"""What is asked of the operating system, and what stands in for it where a system has no such thing (macOS)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import sys

_PUNCH_HOLE_AND_KEEP_SIZE = 0x02 | 0x01
_PR_SET_CHILD_SUBREAPER = 36
_PAGE = 4096


def nameless_file(name: str) -> int:
    """A descriptor of a file that has no name: no cleaner of temporary folders finds it, and it goes with its holders.

    In memory on Linux, elsewhere in the system's temporary folder. What is written goes to its end.
    """
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create(name, os.MFD_CLOEXEC)
    else:
        import tempfile

        handle, path = tempfile.mkstemp(prefix="tune-core-")
        os.unlink(path)
    fcntl.fcntl(handle, fcntl.F_SETFL, fcntl.fcntl(handle, fcntl.F_GETFL) | os.O_APPEND)
    return handle


def above_standard(descriptor: int) -> int:
    """The same file under a number that is none of the standard streams', which may be closed in a daemon."""
    if descriptor > 2:
        return descriptor
    high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return high


def fill_standard_streams() -> None:
    """Open the null device where stdin, stdout or stderr is closed, lest a file of ours gets its number.

    What compiled code writes to descriptor 2 would go into that file.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            found = os.open(os.devnull, os.O_RDWR)
            if found != descriptor:
                os.dup2(found, descriptor)
                os.close(found)


def is_readable(descriptor: int, timeout_s: float = 0.0) -> bool:
    """Whether reading would not wait; ``select`` cannot tell for descriptors from 1,024 on."""
    return bool(_poll(descriptor).poll(timeout_s * 1000))


def wait_for_either(first: int, second: int) -> bool:
    """Wait until one of two descriptors is readable; whether the first one is."""
    return any(ready == first for ready, _ in _poll(first, second).poll())


def _poll(*descriptors: int) -> select.poll:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
    return poll


def kill_group_at_hangup(pipe: int) -> None:
    """Have the kernel kill this process and its group as soon as nobody holds the pipe's other end any more.

    Works while other code holds the interpreter's lock. Only Linux can; elsewhere a thread has to watch.
    """
    if hasattr(fcntl, "F_SETSIG"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(pipe, fcntl.F_SETOWN, -os.getpgid(0))
            fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)


def adopt_orphans() -> None:
    """Become the parent of descendants whose parents have ended, so that they are found. Only Linux can."""
    _call_libc("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def resident_bytes() -> int:
    """Memory that this process has to itself; 0 where that cannot be told."""
    try:
        with open("/proc/self/statm", "rb") as file:
            _, resident, shared = file.read().split()[:3]
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def free_beginning(file: int, size_bytes: int) -> None:
    """Give back the space of a file's first bytes; its size stays. Where that cannot be done, nothing happens."""
    whole = size_bytes // _PAGE * _PAGE
    if whole:
        import ctypes

        numbers = (ctypes.c_int(file), ctypes.c_int(_PUNCH_HOLE_AND_KEEP_SIZE), ctypes.c_long(0), ctypes.c_long(whole))
        _call_libc("fallocate", *numbers)


def _call_libc(name: str, *arguments: object) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(Exception):
            import ctypes

            getattr(ctypes.CDLL(None), name)(*arguments)


def children_of(parent: int) -> list[int]:
    """Processes that a process has started, or adopted."""
    found: list[tuple[int, int]] = []
    try:
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", "rb") as file:
                    found.append((int(entry), int(file.read().rpartition(b")")[2].split()[1])))
    except OSError:
        import subprocess

        listing = subprocess.Popen(["ps", "-axo", "pid=,ppid="], stdout=subprocess.PIPE, text=True)
        for line in listing.communicate()[0].splitlines():
            pid, its_parent = map(int, line.split())
            if pid != listing.pid:
                found.append((pid, its_parent))
    return [pid for pid, its_parent in found if its_parent == parent]


def has_children() -> bool:
    """Whether this process has children, running or ended and not yet waited for."""
    try:
        if hasattr(os, "waitid"):
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        else:
            os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    except OSError:  # cannot be told: look for them
        return True
    return True
