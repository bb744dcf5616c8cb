"""REQUIRE_ALL_TESTS: a run that is meant to be complete fails where a test is skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
TESTS = {
    "test_runs.py": "def test_it(): pass",
    "test_skips.py": "import pytest\ndef test_it(): pytest.skip('no browser')",
    "test_skips_itself.py": "import pytest\npytest.skip('no data', allow_module_level=True)",
    "test_expected.py": "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False",
}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for name, code in TESTS.items():
        (tmp_path / name).write_text(code + "\n")
    return tmp_path


def outcome(suite: Path, name: str, **env: str) -> tuple[int, str]:
    path = os.pathsep.join([str(CONFTEST.parents[1]), str(CONFTEST.parent)])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:dash", "-p", "no:cacheprovider", name],
        cwd=suite,
        env={**os.environ, "PYTHONPATH": path, "REQUIRE_ALL_TESTS": "", **env},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("name", "reason"), [("test_skips.py", "no browser"), ("test_skips_itself.py", "no data")]
)
def test_a_skipped_test_fails_only_when_all_are_demanded(
    suite: Path, name: str, reason: str
) -> None:
    assert "1 skipped" in outcome(suite, name)[1]
    code, output = outcome(suite, name, REQUIRE_ALL_TESTS="1")
    assert code not in (0, 5)
    assert reason in output


@pytest.mark.parametrize("name", ["test_runs.py", "test_expected.py"])
def test_other_tests_end_as_before(suite: Path, name: str) -> None:
    assert outcome(suite, name, REQUIRE_ALL_TESTS="1")[0] == 0
