// Runs Dash's websocket script, written for a shared worker, in a worker of this page alone.
// The page sends the address of the script and one end of a message channel.
"use strict";
self.onmessage = (event) => {
  self.onmessage = null;
  const script = new URL(event.data.script, self.location.href);
  if (script.origin !== self.location.origin) {
    throw new Error("not a script of this server");
  }
  importScripts(script.href);
  self.onconnect({ports: event.ports});
};
