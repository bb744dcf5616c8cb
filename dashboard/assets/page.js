// What the page does without the server: the viewer's surroundings, the choices and their
// address, the badge, and the feed while somebody reads it.
(() => {
  "use strict";

  const root = document.documentElement;
  const PATHS = {live: "/", history: "/history", pipeline: "/pipeline", try: "/try"};
  const DEFAULTS = {source: "*", range: "300", compare: "none", other: "*", shift: "0"};
  const place = () =>
    Object.keys(PATHS).find((name) => PATHS[name] === window.location.pathname) || "live";
  const FORGET_MS = 10_000;
  const set = (id, props) => window.dash_clientside.set_props(id, props);
  const byId = (id) => document.getElementById(id);
  const inAddress = () => new URLSearchParams(window.location.search);
  let messages = null;
  let choices = {...DEFAULTS, end: null};

  // ---- Surroundings

  function surroundings() {
    return {
      scheme: root.dataset.mantineColorScheme === "dark" ? "dark" : "light",
      zone: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC",
      touch: window.matchMedia("(pointer: coarse)").matches,
      visible: !document.hidden,
    };
  }

  function changed() {
    const now = surroundings();
    document.body.dataset.agThemeMode = now.scheme; // the grid follows this
    set("environment", {data: now});
  }

  // ---- Places and addresses

  function address(name, chosen) {
    const query = inAddress();
    for (const [key, usual] of Object.entries({...DEFAULTS, end: null})) {
      if (chosen[key] === usual) {
        query.delete(key);
      } else {
        query.set(key, chosen[key]);
      }
    }
    const text = query.toString();
    return PATHS[name] + (text ? `?${text}` : "");
  }

  function show(name) {
    root.dataset.place = name;
    for (const other of Object.keys(PATHS)) {
      const link = byId(`to-${other}`);
      if (other === name) {
        link?.setAttribute("aria-current", "page");
      } else {
        link?.removeAttribute("aria-current");
      }
    }
    if (messages) {
      document.title = `${messages.titles[name]} \u00b7 SentiStream`;
      const heading = byId("heading");
      if (heading) {
        heading.textContent = messages.titles[name];
      }
    }
    if (name === "try") {
      import(byId("try").dataset.script); // other places do not need it
    }
    // Charts that were hidden do not know their width.
    window.dispatchEvent(new Event("resize"));
  }

  function go(name) {
    if (name === place()) {
      return;
    }
    choices = {...choices, end: null};
    window.history.pushState(null, "", address(name, choices));
    set("moment", {data: null});
    set("place", {data: name});
    byId("content")?.focus({preventScroll: true});
    window.scrollTo(0, 0);
  }

  // ---- The moment that is shown

  function drawnEnd() {
    const times = document.querySelector("#valence .js-plotly-plot")?.data?.[2]?.x;
    return times?.length ? Math.round(times[times.length - 1] / 1000) : null;
  }

  function askedEnd() {
    const end = Number.parseInt(inAddress().get("end"), 10);
    return Number.isFinite(end) ? end : null;
  }

  function scrub(by) {
    const from = choices.end ?? drawnEnd();
    if (from !== null) {
      const end = from + by * Math.max(1, Math.round(Number(choices.range) / 2));
      choices = {...choices, end}; // for a click that comes before the page has followed
      set("moment", {data: end});
    }
  }

  const ACTIONS = {
    pause: () => set("moment", {data: choices.end === null ? drawnEnd() : null}),
    newest: () => set("moment", {data: null}),
    earlier: () => scrub(-1),
    later: () => scrub(1),
    menu: () => drawer(root.dataset.drawer !== "open"),
    new: () => readFeed(true),
  };

  function drawer(open) {
    root.dataset.drawer = open ? "open" : "closed";
    byId("menu")?.setAttribute("aria-expanded", String(open));
    if (open) {
      byId("source")?.focus();
    }
  }

  function clicked(event) {
    const link = event.target.closest("a");
    const name = Object.keys(PATHS).find((key) => link?.id === `to-${key}`);
    if (name && (name === "try" || place() === "try")) {
      // A page of its own to the browser: only there may the camera be asked for.
      link.href = address(name, {...choices, end: null});
    } else if (name && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      drawer(false);
      go(name);
    } else if (link?.id.startsWith("language-")) {
      // The view stays, in the other language.
      const query = inAddress();
      query.set("lang", link.id.slice("language-".length));
      link.href = `${window.location.pathname}?${query}`;
    } else if (link?.id === "csv") {
      // Exactly what is drawn now.
      const query = new URLSearchParams({source: choices.source, range: choices.range});
      const end = drawnEnd();
      if (end !== null) {
        query.set("end", end);
      }
      link.href = `/export.csv?${query}`;
    } else {
      ACTIONS[event.target.closest("button")?.id]?.();
    }
  }

  // ---- The feed

  let rows = [];
  const grid = () => document.querySelector("#feed .ag-body-viewport");

  function readFeed(jump) {
    const body = grid();
    if (jump && body) {
      body.scrollTop = 0;
    }
    set("feed", {rowData: rows});
    pill(0);
    shownRows = rows;
  }

  let shownRows = [];
  function pill(count) {
    const button = byId("new");
    if (button) {
      button.hidden = count === 0;
      button.textContent = messages ? messages.new.replace("{count}", count) : "";
    }
  }

  function arrived(fresh) {
    rows = fresh;
    const held = (grid()?.scrollTop ?? 0) > 4 || choices.end !== null;
    if (!held || shownRows.length === 0) {
      shownRows = rows;
      pill(0);
      return rows;
    }
    const known = new Set(shownRows.map((row) => row.id));
    pill(rows.filter((row) => !known.has(row.id)).length);
    return window.dash_clientside.no_update;
  }

  // ---- All together

  // Dash remembers every input for an undo that these pages do not have, each list of rows too.
  function forget() {
    for (const store of window.dash_stores ?? []) {
      store.getState().history.past.length = 0;
    }
  }

  let watching = false;
  function watch() {
    if (watching) {
      return;
    }
    watching = true;
    // The toggle does not say its state before its first use; the document always does.
    new MutationObserver(changed).observe(root, {
      attributes: true,
      attributeFilter: ["data-mantine-color-scheme"],
    });
    document.addEventListener("visibilitychange", changed);
    document.addEventListener("click", clicked);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && root.dataset.drawer === "open") {
        drawer(false);
        byId("menu")?.focus();
      }
    });
    document.addEventListener(
      "scroll",
      (event) => {
        if (event.target === grid() && event.target.scrollTop <= 4 && choices.end === null) {
          readFeed(false);
        }
      },
      {capture: true, passive: true},
    );
    setInterval(forget, FORGET_MS);
    window.addEventListener("popstate", () => {
      const end = askedEnd(); // both change the address
      set("place", {data: place()});
      set("moment", {data: end});
    });
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    sentistream: {
      // Once, when the page is there: what its address says.
      begin: (_page, texts) => {
        messages = texts;
        watch();
        const now = surroundings();
        document.body.dataset.agThemeMode = now.scheme;
        const asked = ([name, usual]) => inAddress().get(name) ?? usual;
        return [now, place(), askedEnd(), ...Object.entries(DEFAULTS).map(asked)];
      },
      controls: (environment, name, end, source, range, compare, other, shift) => {
        if (!environment) {
          return window.dash_clientside.no_update;
        }
        choices = {source, range, compare, other, shift, end};
        window.history.replaceState(null, "", address(name, choices));
        if (end !== null && name === "history") {
          set("scrub", {value: end});
        }
        root.dataset.compare = compare;
        root.dataset.moment = end === null ? "newest" : "fixed";
        show(name);
        const button = byId("pause");
        if (button && messages) {
          button.textContent = end === null ? messages.running : messages.paused;
          button.setAttribute("aria-pressed", String(end !== null));
        }
        if (end === null && name === "live" && rows.length) {
          readFeed(false);
        }
        return {place: name, ...choices, ...environment};
      },
      // A viewer has moved the scrubber; at its end it follows the data. What the server sets it to
      // may come after a choice.
      scrubbed: (value, most, step) => {
        const end = value >= most - step ? null : value;
        const moved = document.querySelector(".track:focus-within, .track:hover");
        return !moved || place() !== "history" || most <= 1 || end === choices.end
          ? window.dash_clientside.no_update
          : end;
      },
      // A cell of the heatmap chooses its source.
      chosen: (click) => click?.points?.[0]?.y ?? window.dash_clientside.no_update,
      // Else the same prediction could not be chosen again.
      closed: (opened) => void (opened || set("feed", {selectedRows: []})),
      feed: (fresh) => (fresh ? arrived(fresh) : window.dash_clientside.no_update),
      // The server's word counts only while it can be heard.
      badge: (status) => {
        window.sentistream.mounted = true;
        const link = window.sentistream.link;
        let state = "connecting";
        let detail = messages?.opening ?? "";
        if (link === "down") {
          state = "disconnected";
          detail = messages?.away ?? "";
        } else if (link === "up" && status) {
          ({state, detail} = status);
        }
        root.dataset.connection = state;
        return [state, messages?.states[state] ?? state, detail];
      },
    },
  });
})();
