// One websocket a page, watched and healed.
//
// Dash keeps its websocket in a shared worker, one for all tabs. It gives up after ten attempts,
// waits up to half a minute between them, does not notice a server that has gone silent, does not
// always end the callback of a closed tab, and does not exist in some browsers. So the page gets a
// stand-in for `SharedWorker` that runs the same script in a worker of its own: it ends with the
// page, and is replaced when the server is reachable but the websocket is not up.
(() => {
  "use strict";

  const CHECK_MS = 1000;
  const SILENCE_MS = 8000; // the server pushes every second; a visible page without is cut off
  const ANSWER_MS = 10_000; // the server answers in milliseconds, over a slow way in seconds
  const HEAL_MS = 2500; // time for a new worker to connect; twice as long at each further attempt,
  const LONGEST_HEAL_MS = 20_000; // since the way may be slow
  const RELOAD_AFTER = 4; // vain attempts; a fresh page may do better

  const here = document.currentScript.src;
  const state = {link: "connecting", mounted: false};
  window.sentistream = state;

  function report(link) {
    if (state.link === link) {
      return;
    }
    state.link = link;
    if (state.mounted) {
      window.dash_clientside.set_props("link", {data: link});
    }
  }

  class PageWorker {
    constructor(script) {
      this.script = String(new URL(script, document.baseURI));
      this.hello = null; // Dash's own greeting, repeated to each new worker
      this.heardAt = Date.now();
      this.startedAt = 0;
      this.attempts = 0;
      this.port = {
        onmessage: null,
        start: () => {},
        close: () => this.stop(),
        postMessage: (message) => this.send(message),
      };
      this.start();
      setInterval(() => this.check(), CHECK_MS);
    }

    start() {
      const channel = new MessageChannel();
      this.worker = new Worker(new URL("worker.js", here));
      this.worker.postMessage({script: this.script}, [channel.port2]);
      this.inner = channel.port1;
      this.inner.onmessage = (event) => this.receive(event.data);
      this.startedAt = Date.now();
      if (this.hello) {
        this.inner.postMessage(this.hello);
      }
    }

    stop() {
      this.inner.onmessage = null;
      this.inner.close();
      this.worker.terminate();
    }

    send(message) {
      if (message.type === "connect") {
        this.hello = message;
      }
      this.inner.postMessage(message);
    }

    receive(message) {
      this.heardAt = Date.now();
      if (message.type === "connected") {
        this.attempts = 0;
        report("up");
      } else if (message.type === "disconnected") {
        report("down");
      }
      if (this.port.onmessage) {
        this.port.onmessage({data: message});
      }
    }

    async check() {
      const now = Date.now();
      if (state.link === "up") {
        if (!document.hidden && now - this.heardAt > SILENCE_MS) {
          this.receive({type: "disconnected", payload: {reason: "silence"}});
        }
        return;
      }
      const patience = Math.min(HEAL_MS * 2 ** this.attempts, LONGEST_HEAL_MS);
      if (this.asking || now - this.startedAt < patience) {
        return;
      }
      this.asking = true;
      const ask = (address) =>
        fetch(address, {cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS)});
      try {
        const answer = await ask(new URL("../healthz", here));
        if (answer.ok && state.link !== "up") {
          const page = await ask(window.location.href);
          if (page.status === 401) {
            window.location.reload(); // it asks to log in again
          } else {
            this.heal();
          }
        }
      } catch {
        report("down"); // the server is away; asked again in a second
      } finally {
        this.asking = false;
      }
    }

    heal() {
      this.attempts += 1;
      if (this.attempts > RELOAD_AFTER) {
        window.location.reload();
        return;
      }
      this.stop();
      this.start();
    }
  }

  window.SharedWorker = PageWorker;
})();
