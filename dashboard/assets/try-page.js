// The page "Try it": what the viewer does, and what is shown then.

import {Asking} from "./try-asking.js";
import {Camera} from "./try-camera.js";
import {Stage, prepared} from "./try-drawing.js";
import {Results} from "./try-results.js";

const RATE_OF = 10; // pictures over which the rate is taken

const byId = (id) => document.getElementById(id);
const part = (name) => byId(`try-${name}`);
const root = byId("try");
const words = JSON.parse(root.dataset.words);
const limits = JSON.parse(root.dataset.limits);
const asking = new Asking(words);
const results = new Results(part("results"), part("summary"), words, asking);
const stage = new Stage(part("canvas"), words.names);
let turn = 0; // what is answered after a newer question is not shown

// ---- What is said

function say(text) {
  part("status").textContent = text;
}

function complain(text) {
  part("error").textContent = text;
  part("error").hidden = !text;
}

function found({faces, text}) {
  if (text) {
    return words.read;
  }
  if (faces.length < 2) {
    return faces.length ? words.one : words.none;
  }
  return words.many.replace("{count}", faces.length);
}

function describe(faces) {
  const told = faces.map((face, index) => `${index + 1} ${words.names[face.emotion]}`);
  const count = found({faces});
  part("canvas").setAttribute("aria-label", [count, ...told].join(" "));
}

function picture(canvas, faces) {
  part("stage").hidden = false;
  part("stage").classList.remove("live");
  root.dataset.shown = "";
  stage.show(canvas, canvas.width, canvas.height, faces);
  describe(faces);
}

// ---- One question

async function read(content, type, canvas) {
  turn += 1;
  const mine = turn;
  complain("");
  say(words.reading);
  results.clear();
  if (canvas) {
    picture(canvas, []);
  }
  try {
    const prediction = await asking.predict(content, type, true);
    if (mine !== turn) {
      return;
    }
    if (canvas) {
      picture(canvas, prediction.faces);
    }
    results.show(prediction);
    say(found(prediction));
  } catch (error) {
    if (mine === turn) {
      say("");
      complain(error.message);
    }
  }
}

async function readPhoto(file) {
  turn += 1;
  const mine = turn;
  const photo = await prepared(file, limits).catch(() => null);
  if (mine !== turn) {
    return;
  }
  if (photo) {
    await read(photo.blob, "image/jpeg", photo.canvas);
  } else {
    results.clear();
    say("");
    complain(words.errors.no_picture);
  }
}

function readText() {
  const text = part("text").value;
  const wrong = text.trim() ? "text_too_long" : "no_text";
  if (wrong === "no_text" || [...text].length > limits.characters) {
    complain(words.errors[wrong]);
    part("text").focus();
  } else {
    read(text, "text/plain; charset=utf-8", null);
  }
}

// ---- The camera

let answered = []; // when the newest answers were asked for, and when each was there, in ms
let published = 0;
let starting = false;

async function readFrame(blob, wanted) {
  const begun = performance.now();
  const prediction = await asking.predict(blob, "image/jpeg", false);
  if (!wanted()) {
    return;
  }
  const [width, height] = camera.size;
  stage.show(null, width, height, prediction.faces);
  describe(prediction.faces);
  results.show(prediction);
  const source = part("source").value.trim() || part("source").placeholder;
  if (part("publish").checked) {
    await asking.publish(source, prediction);
    published += 1;
  }
  if (wanted()) {
    complain("");
    answered = [...answered, {begun, ended: performance.now()}].slice(-RATE_OF);
    part("rate").textContent = running(source);
  }
}

// Returns the line under the video. It changes with every picture, so it is not announced.
function running(source) {
  const count = answered.length;
  const meanMs = answered.reduce((sum, {begun, ended}) => sum + ended - begun, 0) / count;
  const perSecond = (1000 * count) / (answered.at(-1).ended - answered[0].begun);
  const language = document.documentElement.lang;
  const rate = perSecond.toLocaleString(language, {maximumFractionDigits: 1});
  const told = words.rate.replace("{rate}", rate).replace("{time}", Math.round(meanMs));
  const more = words.published.replace("{count}", published).replace("{source}", source);
  return published ? `${told} ${more}` : told;
}

const camera = new Camera(part("video"), {
  reads: readFrame,
  failed: (error) => {
    complain(error.message);
    return error.againMs ?? 1000;
  },
  ended: stopCamera,
});

function controls(on) {
  part("start").hidden = on;
  part("stop").hidden = !on;
  part("hold").hidden = !on;
}

async function startCamera() {
  if (starting) {
    return; // the browser asks the viewer already
  }
  turn += 1;
  complain("");
  if (!navigator.mediaDevices) {
    complain(words.errors.insecure);
    return;
  }
  starting = true;
  const error = await camera.start().catch((reason) => reason);
  starting = false;
  if (root.dataset.mode !== "camera") {
    camera.stop(); // the viewer has gone elsewhere while the browser asked
    return;
  }
  if (error) {
    complain(words.errors[error.name] ?? words.errors.camera);
    return;
  }
  answered = [];
  published = 0;
  results.clear();
  stage.show(null, ...camera.size, []);
  part("stage").hidden = false;
  part("stage").classList.add("live");
  root.dataset.shown = "";
  say(words.on);
  controls(true);
  part("stop").focus();
}

function stopCamera() {
  camera.stop();
  const focused = document.activeElement?.closest("#try-stop, #try-hold");
  controls(false);
  part("rate").textContent = "";
  if (part("stage").classList.contains("live")) {
    clear();
    say(words.off);
  }
  if (focused) {
    part("start").focus();
  }
}

// Keeps the picture that is seen now and reads it once more, so that it can be corrected.
async function holdFrame() {
  turn += 1;
  const mine = turn;
  const {canvas, blob} = await camera.hold();
  if (mine !== turn) {
    return;
  }
  part("stage").classList.remove("live");
  stopCamera();
  part("start").focus();
  await read(blob, "image/jpeg", canvas);
}

// ---- What the viewer does

function clear() {
  turn += 1;
  part("stage").hidden = true;
  part("stage").classList.remove("live");
  delete root.dataset.shown;
  results.clear();
  say("");
  complain("");
}

function choose(mode) {
  if (mode === root.dataset.mode) {
    return;
  }
  root.dataset.mode = mode;
  stopCamera();
  clear();
}

const file = Object.assign(document.createElement("input"), {
  id: "try-file",
  type: "file",
  accept: "image/*",
  hidden: true,
});
part("drop").append(file);

const photoIn = (transfer) =>
  root.dataset.mode === "photo"
    ? [...(transfer?.files ?? [])].find((given) => given.type.startsWith("image/"))
    : undefined;

function given(event, transfer) {
  const photo = photoIn(transfer);
  if (photo) {
    event.preventDefault();
    readPhoto(photo);
  }
}

file.addEventListener("change", () => {
  if (file.files.length) {
    readPhoto(file.files[0]);
    file.value = ""; // the same one may be chosen again
  }
});
part("mode").addEventListener("change", (event) => choose(event.target.value));
part("choose").addEventListener("click", () => file.click());
part("read").addEventListener("click", readText);
part("start").addEventListener("click", startCamera);
part("stop").addEventListener("click", stopCamera);
part("hold").addEventListener("click", holdFrame);
document.addEventListener("paste", (event) => given(event, event.clipboardData));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    const files = event.dataTransfer?.types.includes("Files") ?? false; // not a text, say
    const over = files && kind === "dragover" && Boolean(event.target.closest?.("#try-drop"));
    part("drop").classList.toggle("over", over);
    if (files && kind !== "dragleave") {
      event.preventDefault(); // else the browser opens what is dropped beside
    }
    if (kind === "drop") {
      given(event, event.dataTransfer);
    }
  });
}
window.addEventListener("pagehide", stopCamera);
