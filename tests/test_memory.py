"""What is freed goes back to the system: each large piece of memory is a mapping of its own."""

import ctypes
import subprocess
import sys

import pytest

MAPPINGS = """
import ctypes
import sys
from betar_tui.memory import limit_fragments

FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS.split()]


libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
if sys.argv[1:] == ["limited"]:
    limit_fragments()
for _ in range(3):
    bytes(8 << 20)  # freed at once: from then on glibc would not map what is smaller
before = libc.mallinfo2().hblks
held = [bytes(200_000) for _ in range(20)]
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.parametrize(("arguments", "mapped"), [((), 0), (("limited",), 20)])
def test_large_blocks_are_mapped_after_larger_ones_were_freed(arguments: tuple[str, ...], mapped: int) -> None:
    try:
        _ = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        pytest.skip("the C library is not glibc 2.33 or newer")
    done = subprocess.run(
        [sys.executable, "-c", MAPPINGS, *arguments], check=True, capture_output=True, text=True, timeout=30
    )
    assert int(done.stdout) == mapped
