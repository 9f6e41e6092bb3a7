"""How a program is told to end: the first reason counts, and one that does not end is abandoned."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
import trio

from betar_tui.leaving import Leaving, leave_on_signals

WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", WATCHED)
async def test_a_signal_asks_to_leave_with_its_number(number):
    leaving, before = Leaving(), [signal.getsignal(each) for each in WATCHED]
    with leave_on_signals(leaving):
        os.kill(os.getpid(), number)
        with trio.fail_after(10):
            await leaving.asked.wait()
        os.kill(os.getpid(), signal.SIGTERM)
    assert leaving.code == 128 + number
    assert [signal.getsignal(each) for each in WATCHED] == before


async def test_sighup_stays_ignored_under_nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with leave_on_signals(Leaving()):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_the_first_reason_counts():
    leaving = Leaving()
    assert leaving.code is None
    leaving.ask(129)
    leaving.ask(143)
    assert (leaving.code, leaving.asked.is_set()) == (129, True)


def abandoned(signals: str, patience: float) -> tuple[int, bytes]:
    """The exit code and output of a program that hangs, and is sent signals."""
    script = f"""
        import os, signal, sys, threading, trio
        from betar_tui import leaving as module
        module.IMPATIENCE = 0.1

        async def hang():
            leaving = module.Leaving({patience})
            leaving.rescue(lambda: os.write(1, b", then the files"))
            leaving.rescue(lambda: 1 / 0)
            leaving.rescue(lambda: os.write(1, b"the terminal"))
            with module.leave_on_signals(leaving):
                for number in ({signals}):
                    signal.raise_signal(number)
                threading.Event().wait()

        trio.run(hang)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, capture_output=True, timeout=30)
    return done.returncode, done.stdout


def test_a_program_that_does_not_end_is_abandoned_after_the_rescues():
    assert abandoned("signal.SIGTERM,", 0.1) == (143, b"the terminal, then the files")


def test_a_second_sigint_shortens_the_time():
    assert abandoned("signal.SIGINT, signal.SIGINT", 600) == (130, b"the terminal, then the files")
