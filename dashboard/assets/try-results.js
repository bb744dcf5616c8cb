// An answer in words and bars, and the way to say that it is not right.

import {percent} from "./try-drawing.js";

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export class Results {
  constructor(container, summary, words, asking) {
    this.container = container;
    this.summary = summary;
    this.words = words;
    this.asking = asking;
  }

  clear() {
    this.container.replaceChildren();
    this.summary.textContent = "";
  }

  // Draws an answer. What has a receipt can be corrected.
  show(prediction) {
    const {words} = this;
    const parts = prediction.faces.map((face, index) =>
      this.part(prediction, face, index, face.emotion, words.expressions),
    );
    if (prediction.text) {
      const {text} = prediction;
      parts.push(this.part(prediction, text, null, text.sentiment, words.sentiments));
    }
    if (!parts.length) {
      parts.push(element("p", {class: "note"}, words.none));
    }
    this.container.replaceChildren(...parts);
    this.summary.textContent = this.overall(prediction);
  }

  overall({sentiment, valence, models}) {
    const {words} = this;
    const used = Object.entries(models).filter(([, version]) => version);
    const versions = used.map((entry) => entry.join(" ")).join(", ");
    const told = [this.pair(words.models, versions)];
    if (sentiment) {
      told.unshift(words.names[sentiment], `${words.valence} ${signed(valence)}`);
    }
    return told.join(" \u00b7 ");
  }

  pair(name, value) {
    return this.words.pair.replace("{name}", name).replace("{value}", value);
  }

  title(index) {
    const {words} = this;
    return index === null ? words.text : words.face.replace("{number}", index + 1);
  }

  part(prediction, found, index, chosen, classes) {
    const {words} = this;
    const swatch = element("span", {class: `swatch ${chosen}`, "aria-hidden": "true"});
    const sure = `${words.confidence} ${percent(found.confidence, 0)}`;
    const name = this.pair(this.title(index), words.names[chosen]);
    const head = element("h3", {}, swatch, name, element("span", {class: "sure"}, sure));
    const made = element("section", {class: "reading"}, head);
    made.append(this.bars(found.probabilities, chosen, classes, this.title(index)));
    const notes = this.notes(found);
    if (notes) {
      made.append(element("p", {class: "note"}, notes));
    }
    if (found.receipt) {
      made.append(this.correction(prediction.id, found.receipt, index, chosen, classes));
    }
    return made;
  }

  bars(shares, chosen, classes, title) {
    const rows = classes.map((name) => {
      const share = shares[name] ?? 0;
      const fill = element("span", {class: name});
      fill.style.width = `${100 * share}%`;
      return element(
        "tr",
        {class: name === chosen ? "first" : ""},
        element("th", {scope: "row"}, this.words.names[name]),
        element("td", {class: "number"}, percent(share, 1)),
        element(
          "td",
          {class: "share", "aria-hidden": "true"},
          element("span", {class: "share-bar"}, fill),
        ),
      );
    });
    const caption = this.pair(title, this.words.probability);
    return element(
      "table",
      {class: "probabilities"},
      element("caption", {class: "hidden-text"}, caption),
      element("tbody", {}, ...rows),
    );
  }

  notes({language, foreign, cut}) {
    const {words} = this;
    const notes = [];
    if (language) {
      notes.push((foreign ? words.foreign : words.language).replace("{code}", language));
    }
    if (cut) {
      notes.push(words.cut);
    }
    return notes.join("; ");
  }

  correction(id, receipt, index, predicted, classes) {
    const {words} = this;
    const others = classes.filter((name) => name !== predicted);
    const options = others.map((name) => element("option", {value: name}, words.names[name]));
    const choice = element("select", {}, element("option", {value: ""}, "\u2013"), ...options);
    const send = element("button", {class: "plain"}, words.send);
    const told = element("p", {role: "status"}, words.stores);
    const form = element("form", {}, element("label", {}, words.choose, choice), send, told);
    const which = element("span", {class: "hidden-text"}, ` ${this.title(index)}`);
    const open = element("summary", {}, words.wrong, which);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!choice.value) {
        told.className = "wrong";
        told.textContent = words.errors.no_label;
        choice.focus();
        return;
      }
      send.disabled = true;
      try {
        const label = choice.value;
        const kept = await this.asking.correct({id, face: index, predicted, label, receipt});
        const what = kept.stored.map((name) => words.stored[name] ?? name).join(", ");
        told.className = "";
        told.textContent = words.thanks.replace("{what}", what);
        told.tabIndex = -1;
        form.replaceChildren(told);
        told.focus();
      } catch (error) {
        told.className = "wrong";
        told.textContent = error.message;
        send.disabled = false;
      }
    });
    return element("details", {class: "correct"}, open, form);
  }
}

function signed(value) {
  const language = document.documentElement.lang;
  const options = {minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "exceptZero"};
  return value.toLocaleString(language, options).replace("-", "\u2212");
}
