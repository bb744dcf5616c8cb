// What the page does without the server: the viewer's surroundings, the choices, the badge.
(() => {
  "use strict";

  const LABELS = {
    connecting: "Connecting",
    live: "Live",
    stale: "Stale",
    disconnected: "Disconnected",
  };
  const root = document.documentElement;

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
    window.dash_clientside.set_props("environment", {data: now});
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
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    sentistream: {
      environment: () => {
        watch();
        const now = surroundings();
        document.body.dataset.agThemeMode = now.scheme;
        return now;
      },
      controls: (source, range, environment) => {
        if (!environment) {
          return window.dash_clientside.no_update;
        }
        return {source, range, ...environment};
      },
      // The server's word counts only while it can be heard.
      badge: (status) => {
        window.sentistream.mounted = true;
        const link = window.sentistream.link;
        let state = "connecting";
        let detail = "opening the page's connection";
        if (link === "down") {
          state = "disconnected";
          detail = "the dashboard server does not answer; trying again";
        } else if (link === "up" && status) {
          ({state, detail} = status);
        }
        root.dataset.connection = state;
        return [state, LABELS[state], detail];
      },
    },
  });
})();
