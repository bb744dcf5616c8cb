"""Child processes that start in order, are watched, and never outlive their supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from infra.restarts import Restarts
from models.errors import ServiceError

__all__ = ["ChildError", "Program", "Supervisor"]

GUARD = Path(__file__).with_name("guard.py")
POLL_S = 0.05
# What ends is found at once, so this is for what hangs alone. All are up in seconds on a quiet
# machine; one that is shared was seen to need more than one minute.
READY_S = 300.0
TELL_S = 20.0  # people hear after this long what is waited for
STOP_S = 3.0  # for an orderly end; with the kill that follows all is over within 5 s
REAP_S = 1.5  # a killed process is gone in milliseconds; more means that it hangs in the kernel
LOG_LINES = 15
LOG_TAIL_BYTES = 16_384


class ChildError(ServiceError):
    """A child ended by itself or did not become ready; the text holds its last log lines."""


@dataclass(frozen=True)
class Program:
    """What is to be started, and how one sees that it is ready.

    Attributes:
        name: for messages and for the name of the log file.
        argv: program and arguments; no shell is involved.
        ready: asked again and again until it is true; must answer within about a second.
        env: variables added to those of the supervisor; a value of None takes a variable away.
        limit_s: seconds within which it must be ready.
        disposable: it keeps nothing, so it is killed, after all others have stopped.
        group: when one program of a group ends by itself, all of them are started again.
        final: exit codes after which that would not help.
    """

    name: str
    argv: Sequence[str]
    ready: Callable[[], bool]
    env: Mapping[str, str | None] = field(default_factory=dict)
    limit_s: float = READY_S
    disposable: bool = False
    group: str | None = None
    final: frozenset[int] = frozenset()


@dataclass
class _Restart:
    """A group that is being started again."""

    programs: list[Program]
    at: float  # on the monotonic clock
    begun: bool = False


@dataclass(frozen=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    log: Path

    def exit_code(self) -> int | None:
        """Return the exit code (negative: the signal that ended it), or None while it runs.

        The process is not reaped: its id, and so the id of its group, stays its own until `stop`.
        """
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        result = os.waitid(os.P_PID, self.process.pid, flags)
        if result is None:
            return None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status

    def ended(self) -> str | None:
        """Return how the child has ended, in words, or None while it runs."""
        code = self.exit_code()
        if code is None:
            return None
        how = f"exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
        return f"{self.program.name} ended unexpectedly ({how})"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child and to all that it has started itself."""
        os.killpg(self.process.pid, number)

    def last_lines(self) -> str:
        """Return the end of its log, indented, for a message."""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - LOG_TAIL_BYTES))
            text = file.read().decode(errors="replace")
        lines = [line for line in text.splitlines() if line.strip()][-LOG_LINES:]
        if not lines:
            return f"It wrote nothing to its log ({self.log})."
        return "\n".join([f"The last lines of its log ({self.log}):", *(f"  {x}" for x in lines)])


class Supervisor:
    """Owns child processes: starts them, watches them, and stops all of them with certainty.

    Each child leads a session of its own, so a Ctrl-C in the terminal reaches the supervisor alone,
    and a child can be stopped together with all that it has started. On Linux a child is also
    killed by the kernel when the thread that started it ends: start children from the main thread.

    Args:
        directory: where the log of each child is written, `NAME.log`; must exist.
        say: takes a line for people when a start takes long or a group is started again.
    """

    def __init__(self, directory: Path, say: Callable[[str], None] = lambda line: None) -> None:
        self._directory = directory
        self._say = say
        self._children: list[_Child] = []
        self._pids: dict[str, int] = {}
        self._restarts: dict[str, Restarts] = defaultdict(Restarts)
        self._restarting: dict[str, _Restart] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *programs: Program) -> None:
        """Start the programs together and block until all of them are ready.

        Raises:
            ChildError: one (or an earlier one) ended, or was not ready within its limit.
        """
        begun = time.monotonic()
        told = False
        waiting = [self._spawn(program) for program in programs]
        while waiting:
            for child in waiting:
                if ended := child.ended():
                    raise ChildError(f"{ended}. {child.last_lines()}")
            self.check()
            waiting = [child for child in waiting if not child.program.ready()]
            elapsed = time.monotonic() - begun
            for child in waiting:
                if elapsed > child.program.limit_s:
                    raise ChildError(
                        f"{child.program.name} was not ready within {child.program.limit_s:g} s. "
                        f"{child.last_lines()}"
                    )
            if waiting and not told and elapsed > TELL_S:
                told = True
                names = ", ".join(child.program.name for child in waiting)
                self._say(f"still waiting for {names} after {TELL_S:g} s")
            if waiting:
                time.sleep(POLL_S)

    def check(self) -> None:
        """Return at once if all children run; start a group again when its time has come.

        Call this often.

        Raises:
            ChildError: one has ended that is not started again; names it, its exit code and the
                last lines of its log.
        """
        self._go_on_restarting()
        for child in self._children:
            ended = child.ended()
            if ended is None:
                continue
            group = child.program.group
            if group is None or child.exit_code() in child.program.final:
                raise ChildError(f"{ended}. {child.last_lines()}")
            wait_s = self._restarts[group].wait(time.monotonic())
            if wait_s is None:
                raise ChildError(f"{ended}, and was started again too often. {child.last_lines()}")
            self._plan_restart(group, ended, wait_s)
            return

    @property
    def restarted(self) -> bool:
        """Whether any group had to be started again."""
        return any(restarts.count for restarts in self._restarts.values())

    def pid(self, name: str) -> int:
        """Return the process id of the newest child with this name.

        Raises:
            KeyError: there is none.
        """
        return self._pids[name]

    def stop(self) -> None:
        """Stop all children, within 5 s, together with all that they have started.

        SIGTERM first; what is left after some seconds, and what keeps nothing anyway, is killed. A
        second Ctrl-C does not cut this short. May be called again.
        """
        children, self._children = self._children, []
        self._restarting.clear()
        if not children:
            return
        previous = _ignore_interrupts()
        try:
            orderly = [child for child in children if not child.program.disposable]
            for child in orderly:
                child.signal(signal.SIGTERM)
            deadline = time.monotonic() + STOP_S
            while time.monotonic() < deadline and any(c.exit_code() is None for c in orderly):
                time.sleep(POLL_S)
            for child in children:  # also those that ended: their own children may still run
                child.signal(signal.SIGKILL)
            for stuck in _reap(children):
                self._say(f"{stuck}.")
        finally:
            _restore(previous)

    def _spawn(self, program: Program) -> _Child:
        env = {**os.environ, **{k: v for k, v in program.env.items() if v is not None}}
        for name, value in program.env.items():
            if value is None:
                env.pop(name, None)
        guard = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid())]
        log = self._directory / f"{program.name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*guard, *program.argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=True,
            )
        child = _Child(program, process, log)
        self._children.append(child)
        self._pids[program.name] = process.pid
        return child

    def _plan_restart(self, group: str, ended: str, wait_s: float) -> None:
        """Kill what is left of a group, since it cannot go on without the one that has ended."""
        members = [child for child in self._children if child.program.group == group]
        for child in members:
            child.signal(signal.SIGKILL)
        if stuck := _reap(members):
            raise ChildError(f"{ended}, and cannot be started again: {'; '.join(stuck)}.")
        self._children = [child for child in self._children if child not in members]
        programs = [child.program for child in members]
        self._restarting[group] = _Restart(programs, time.monotonic() + wait_s)
        restarts = self._restarts[group]
        self._say(
            f"{ended}; {', '.join(program.name for program in programs)} start again in "
            f"{wait_s:g} s (restart {restarts.count} of at most {restarts.limit})"
        )

    def _go_on_restarting(self) -> None:
        """Start groups whose time has come, and see that they become ready.

        Raises:
            ChildError: one was not ready within its limit.
        """
        now = time.monotonic()
        for group, restart in list(self._restarting.items()):
            if not restart.begun:
                if now >= restart.at:
                    restart.begun, restart.at = True, now
                    for program in restart.programs:
                        self._spawn(program)
                continue
            late = [p for p in restart.programs if now - restart.at > p.limit_s]
            if all(program.ready() for program in restart.programs):
                del self._restarting[group]
                self._say(f"{', '.join(p.name for p in restart.programs)}: ready again")
            elif late:
                raise ChildError(f"{late[0].name} was not ready within {late[0].limit_s:g} s again")


def _reap(children: Sequence[_Child]) -> list[str]:
    """Wait for children that were killed; return which of them are still there, in words."""
    deadline = time.monotonic() + REAP_S
    stuck = []
    for child in children:
        try:
            child.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            stuck.append(
                f"{child.program.name} (process {child.process.pid}) was killed and is still there "
                f"{REAP_S:g} s later: it hangs in the kernel, mostly on a disk or a network drive"
            )
    return stuck


def _ignore_interrupts() -> dict[signal.Signals, object]:
    try:
        return {
            number: signal.signal(number, signal.SIG_IGN)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
    except ValueError:  # not in the main thread, which alone receives and sets handlers
        return {}


def _restore(handlers: dict[signal.Signals, object]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)  # type: ignore[arg-type]
