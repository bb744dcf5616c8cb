"""`sentistream up`: runs the local stack until it is stopped, for a demo or for development."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from dataflows.settings import Settings, load_settings
from dataflows.telemetry import Histogram
from infra.demo import Feed, sample_streams
from infra.interrupts import interruptible
from infra.ports import Ports
from infra.producers import Sender
from infra.stack import Stack
from infra.summary import Counts, Ledger, Patience, report
from infra.supervisor import ChildError, Supervisor
from models.bundle import text_folder
from models.errors import ServiceError

__all__ = ["Options", "up"]

TICK_S = 0.05
MEMORY_EVERY_S = 1.0
HEARTBEAT_WAIT_S = 30.0  # two periods of the workers' heartbeat, and room for a busy machine
INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C has ended


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes:
        workers: processes of the flow.
        demo: send the sample video and photo, and the sample texts if a text bundle is in use.
        seconds: end after so long, with a summary; None runs until it is stopped.
        port: of the dashboard; None chooses.
        broker_limit_mib: resident memory of the embedded broker at which the demo's producers stop.
        settle_s: how long to wait at the end for what is missing, since the last of it came.
    """

    workers: int = 1
    demo: bool = False
    seconds: float | None = None
    port: int | None = None
    broker_limit_mib: int = 2048
    settle_s: float = 30.0  # a flow that runs scores some every second


def up(options: Options, console: Console) -> int:
    """Run the stack, and return the exit code; nothing that was started is left afterwards.

    People read the console; standard output is for the summary alone, as its last line.

    Raises:
        SentiStreamError: a setting is wrong, or a part of the stack cannot be started or reached.
    """
    settings = load_settings()
    directory = Path(tempfile.mkdtemp(prefix="sentistream-"))  # made with mode 0700
    keep_logs = False
    try:
        with interruptible(), ExitStack() as resources:
            code, summary = _Run(options, settings, console, directory, resources).run()
            keep_logs = code != 0
    except KeyboardInterrupt:
        console.print("stopped")
        return 0 if options.seconds is None else INTERRUPTED
    except ChildError as error:
        keep_logs = True
        console.print(f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        return 1
    finally:
        if not keep_logs:
            shutil.rmtree(directory, ignore_errors=True)
    if summary:
        print(summary, flush=True)
    return code


class _Run:
    def __init__(
        self,
        options: Options,
        settings: Settings,
        console: Console,
        directory: Path,
        resources: ExitStack,
    ) -> None:
        self._options = options
        self._console = console
        self._resources = resources
        self._supervisor = Supervisor(directory, self._say)
        self._stack = Stack(
            settings=settings,
            supervisor=self._supervisor,
            ports=resources.enter_context(Ports()),
            directory=directory,
            workers=options.workers,
            port=options.port,
        )
        resources.callback(self._supervisor.stop)
        self._feed: Feed | None = None

    def _say(self, line: str) -> None:
        self._console.print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)

    def run(self) -> tuple[int, str]:
        """Return the exit code and the summary, empty if none was asked for."""
        stack = self._stack
        stack.start_servers()
        self._console.print("Starting; what is missing is downloaded on the first run …")
        chat = text_folder(stack.settings.bundles, stack.settings.text) is not None
        streams = sample_streams(chat=chat) if self._options.demo else []
        ledger = self._resources.enter_context(closing(Ledger(stack.settings)))
        stack.start_programs(ledger)
        self._console.print(stack.table())
        if streams:
            self._feed = Feed(Sender(stack.settings), streams)
        self._watch()
        return self._finish(ledger)

    def _watch(self) -> None:
        """Send what is due and watch the children, until the time is up."""
        begun = time.monotonic()
        look_at_memory = 0.0
        while True:
            self._supervisor.check()
            elapsed = time.monotonic() - begun
            if self._options.seconds is not None and elapsed >= self._options.seconds:
                return
            if self._feed is not None:
                self._feed.send_due(elapsed)
                if elapsed >= look_at_memory:
                    look_at_memory = elapsed + MEMORY_EVERY_S
                    self._stop_feed_at_limit(self._feed)
            time.sleep(TICK_S)

    def _stop_feed_at_limit(self, feed: Feed) -> None:
        used, limit = self._stack.broker_mib(), self._options.broker_limit_mib
        if used < limit:
            return
        self._close(feed)
        self._console.print(
            f"The demo's producers have stopped: the embedded broker holds {used} MiB, and the "
            f"limit is {limit} MiB (--broker-limit). It keeps every record in memory for as long "
            "as it runs. The flow and the dashboard stay up. For longer runs use a real Kafka: set "
            "SENTISTREAM_KAFKA__BROKERS to its address and start again.",
            style="yellow",
            highlight=False,
        )

    def _close(self, feed: Feed) -> None:
        """End the feed for good.

        Raises:
            ServiceError: not all that it has sent was delivered.
        """
        self._feed = None
        tally = feed.close()
        if tally.failed:
            raise ServiceError(
                f"{tally.failed} of {tally.sent} events were not delivered: {tally.last_error}"
            )

    def _finish(self, ledger: Ledger) -> tuple[int, str]:
        if self._feed is not None:
            self._close(self._feed)
        counts, settled = self._settle(ledger)
        summary = report(counts, ledger.sources(), self._latency(ledger), self._stack.dashboard_url)
        return (0 if settled else 1), json.dumps(summary)

    def _settle(self, ledger: Ledger) -> tuple[Counts, bool]:
        """Wait until each event is accounted for, also in the panes; tell if none is missing."""
        patience = Patience(self._options.settle_s)
        while True:
            self._supervisor.check()
            counts = ledger.counts(repeats=self._supervisor.restarted)
            in_panes = sum(pane.events for pane in ledger.sources().values())
            if counts.settled and in_panes == counts.scored:
                return counts, True
            if patience.ends(counts, time.monotonic()):
                self._console.print(
                    f"error: {patience.limit_s:g} s without progress: {counts.events_in} events "
                    f"have come in, {counts.scored} are scored, {counts.rejected} rejected, and "
                    f"{in_panes} are in the panes",
                    style="red",
                    highlight=False,
                )
                return counts, False
            time.sleep(TICK_S)

    def _latency(self, ledger: Ledger) -> Histogram:
        """Return the workers' latencies once all of them have reported on the last event."""
        since = time.time()
        deadline = time.monotonic() + HEARTBEAT_WAIT_S
        while (latency := ledger.latency(self._stack.worker_ids, since)) is None:
            self._supervisor.check()
            if time.monotonic() > deadline:
                self._console.print("error: not every worker has sent a heartbeat", style="red")
                return Histogram()
            time.sleep(TICK_S)
        return latency
