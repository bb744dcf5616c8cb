"""The supervisor with real child processes: order, death, stubbornness, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from waiting import wait_for

from infra.restarts import Restarts
from infra.supervisor import ChildError, Program, Supervisor


def python(
    name: str, code: str, ready: Callable[[], bool] = lambda: True, **rest: object
) -> Program:
    argv = [sys.executable, "-c", textwrap.dedent(code)]
    return Program(name=name, argv=argv, ready=ready, **rest)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    """Return whether a process runs; one that waits to be reaped by its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def number_in(path: Path) -> int:
    wait_for(lambda: path.exists() and path.read_text() != "")
    return int(path.read_text())


def test_start_waits_until_every_program_is_ready(tmp_path: Path) -> None:
    marks = [tmp_path / "a", tmp_path / "b"]
    code = "import pathlib, time; pathlib.Path({!r}).touch(); time.sleep(60)"
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(
            *(python(mark.name, code.format(str(mark)), ready=mark.exists) for mark in marks)
        )
        assert all(mark.exists() for mark in marks)


def test_a_program_that_is_never_ready_is_named_with_its_log(tmp_path: Path) -> None:
    code = "import time; print('waiting for godot', flush=True); time.sleep(60)"
    never = python("slow", code, ready=lambda: False, limit_s=10.0)
    with Supervisor(tmp_path) as supervisor:
        with pytest.raises(
            ChildError, match=r"slow was not ready within 10 s(.|\n)*waiting for godot"
        ):
            supervisor.start(never)
        pid = supervisor.pid("slow")
    assert not alive(pid)


def test_who_is_waited_for_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.supervisor.TELL_S", 0.2)
    said: list[str] = []
    slow = python("slow", "import time; time.sleep(60)", ready=lambda: bool(said))
    with Supervisor(tmp_path, said.append) as supervisor:
        supervisor.start(slow)
    assert said == ["still waiting for slow after 0.2 s"]


def test_a_child_that_dies_while_starting_is_named_at_once(tmp_path: Path) -> None:
    code = "import sys; print('no such model', file=sys.stderr); sys.exit(3)"
    with (
        Supervisor(tmp_path) as supervisor,
        pytest.raises(
            ChildError, match=r"broken ended unexpectedly \(exit code 3\)(.|\n)*no such model"
        ),
    ):
        supervisor.start(python("broken", code, ready=lambda: False))


def test_a_child_that_dies_later_is_found_by_the_check_and_the_rest_is_stopped(
    tmp_path: Path,
) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(
            python("healthy", "import time; time.sleep(60)"),
            python("victim", "import time; print('last words', flush=True); time.sleep(60)"),
        )
        healthy, victim = supervisor.pid("healthy"), supervisor.pid("victim")
        log = tmp_path / "victim.log"
        wait_for(lambda: "last words" in log.read_text())
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: not alive(victim))
        with pytest.raises(ChildError, match=r"victim ended .*\(by SIGKILL\)(.|\n)*last words"):
            supervisor.check()
    assert not alive(healthy)


def test_a_group_is_started_again_when_one_of_it_ends(tmp_path: Path) -> None:
    said: list[str] = []
    programs = [
        replace(python(name, "import time; time.sleep(60)"), group="pair", final=frozenset({3}))
        for name in ("one", "two")
    ]
    with Supervisor(tmp_path, said.append) as supervisor:
        supervisor.start(*programs, python("other", "import time; time.sleep(60)"))
        one, two, other = map(supervisor.pid, ("one", "two", "other"))
        assert not supervisor.restarted
        os.kill(two, signal.SIGKILL)
        wait_for(lambda: supervisor.check() or supervisor.pid("one") != one)
        wait_for(lambda: supervisor.check() or len(said) == 2)
        assert not alive(one)
        assert alive(supervisor.pid("one"))
        assert alive(supervisor.pid("two"))
        assert supervisor.pid("other") == other
        assert supervisor.restarted
    assert said[0] == (
        "two ended unexpectedly (by SIGKILL); one, two start again in 0.5 s "
        "(restart 1 of at most 5)"
    )
    assert said[1] == "one, two: ready again"
    assert not alive(supervisor.pid("one"))


def test_an_end_that_a_restart_would_not_help_is_told(tmp_path: Path) -> None:
    code = "import sys, time; time.sleep(0.5); print('wrong topic'); sys.exit(3)"
    program = replace(python("final", code), group="pair", final=frozenset({3}))
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(program)
        with pytest.raises(ChildError, match=r"final ended .*exit code 3(.|\n)*wrong topic"):
            wait_for(lambda: supervisor.check() is not None)


def test_a_group_is_not_started_again_for_ever(tmp_path: Path) -> None:
    program = replace(python("weak", "import time; time.sleep(0.5)"), group="weak")
    with Supervisor(tmp_path) as supervisor:
        supervisor._restarts["weak"] = Restarts(limit=1)
        supervisor.start(program)
        with pytest.raises(ChildError, match=r"weak ended .* and was started again too often"):
            wait_for(lambda: supervisor.check() is not None)


def test_a_child_that_ends_with_success_is_unexpected_too(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor, pytest.raises(ChildError, match="exit code 0"):
        supervisor.start(python("short", "pass", ready=lambda: False))


def test_a_child_that_ignores_sigterm_is_killed_with_its_own_children(tmp_path: Path) -> None:
    grandchild = tmp_path / "grandchild"
    code = f"""
        import pathlib, signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c",
            "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"])
        pathlib.Path({str(grandchild)!r}).write_text(str(child.pid))
        time.sleep(60)
    """
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(python("stubborn", code))
        pids = [supervisor.pid("stubborn"), number_in(grandchild)]
        assert all(alive(pid) for pid in pids)
    wait_for(lambda: not any(alive(pid) for pid in pids))


def test_children_of_a_child_that_has_ended_are_stopped(tmp_path: Path) -> None:
    orphan = tmp_path / "orphan"
    code = f"""
        import pathlib, subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        pathlib.Path({str(orphan)!r}).write_text(str(child.pid))
    """
    with Supervisor(tmp_path) as supervisor:
        with pytest.raises(ChildError, match="leaver ended"):
            supervisor.start(python("leaver", code, ready=lambda: False))
        pid = number_in(orphan)
        assert alive(pid)
    wait_for(lambda: not alive(pid))


def test_an_orderly_child_may_finish_its_work(tmp_path: Path) -> None:
    ready, done = tmp_path / "ready", tmp_path / "done"
    code = f"""
        import pathlib, signal, sys, time
        def end(*_):
            pathlib.Path({str(done)!r}).touch()
            sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        pathlib.Path({str(ready)!r}).touch()
        time.sleep(60)
    """
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(python("orderly", code, ready=ready.exists))
    assert done.exists()


def test_disposable_children_outlive_the_others(tmp_path: Path) -> None:
    ready, seen = tmp_path / "ready", tmp_path / "seen"
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(python("server", "import time; time.sleep(60)", disposable=True))
        server = supervisor.pid("server")
        client = f"""
            import os, pathlib, signal, sys, time
            def end(*_):
                os.kill({server}, 0)  # raises if the server is gone
                pathlib.Path({str(seen)!r}).touch()
                sys.exit(0)
            signal.signal(signal.SIGTERM, end)
            pathlib.Path({str(ready)!r}).touch()
            time.sleep(60)
        """
        supervisor.start(python("client", client, ready=ready.exists))
    assert seen.exists()
    assert not alive(server)


def test_variables_can_be_added_and_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INHERITED", "yes")
    monkeypatch.setenv("UNWANTED", "yes")
    seen = tmp_path / "seen"
    code = f"""
        import os, pathlib, time
        names = [n for n in ("INHERITED", "UNWANTED", "ADDED") if n in os.environ]
        part = pathlib.Path({str(seen)!r} + ".part")
        part.write_text(" ".join(names))
        part.rename({str(seen)!r})
        time.sleep(60)
    """
    env: dict[str, str | None] = {"UNWANTED": None, "ADDED": "1"}
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(python("env", code, ready=seen.exists, env=env))
    assert seen.read_text() == "INHERITED ADDED"


def test_stop_may_be_called_twice(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    supervisor.start(python("one", "import time; time.sleep(60)"))
    supervisor.stop()
    supervisor.stop()


def test_a_child_that_even_a_kill_does_not_end_is_named_and_the_others_are_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process can be made to hang in the kernel, so the wait for one is made to fail."""
    said: list[str] = []
    supervisor = Supervisor(tmp_path, said.append)
    supervisor.start(*(python(name, "import time; time.sleep(60)") for name in ("one", "two")))
    one, two = (child.process for child in supervisor._children)
    with monkeypatch.context() as patch:

        def hangs(timeout: float) -> int:
            raise subprocess.TimeoutExpired("one", timeout)

        patch.setattr(one, "wait", hangs)
        supervisor.stop()
    (line,) = said
    assert line.startswith(f"one (process {one.pid}) was killed and is still there")
    assert two.returncode is not None
    one.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's own")
def test_nothing_survives_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = f"""
        import pathlib, sys, time
        from infra.supervisor import Program, Supervisor
        supervisor = Supervisor(pathlib.Path({str(tmp_path)!r}))
        sleeper = [sys.executable, "-c",
            "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"]
        supervisor.start(*(Program(name, sleeper, lambda: True) for name in ("a", "b")))
        part = pathlib.Path({str(pids)!r} + ".part")
        part.write_text(f"{{supervisor.pid('a')}} {{supervisor.pid('b')}}")
        part.rename({str(pids)!r})
        time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)]) as process:
        wait_for(pids.exists)
        children = [int(pid) for pid in pids.read_text().split()]
        assert all(alive(pid) for pid in children)
        process.kill()
    wait_for(lambda: not any(alive(pid) for pid in children))
