// Asks the API by way of the dashboard, and puts what goes wrong into a sentence.

const PATIENCE_MS = 60_000; // the server gives up long before

class Refusal extends Error {
  // Args: what is said, and after how long it is worth trying again.
  constructor(sentence, againMs = 2000) {
    super(sentence);
    this.againMs = againMs;
  }
}

export class Asking {
  constructor(words) {
    this.words = words;
  }

  refusal(reason, againMs) {
    return new Refusal(this.words.errors[reason] ?? reason, againMs);
  }

  // A picture or a text, scored; with receipts it can be corrected.
  predict(content, type, receipts) {
    return this.post(`/try/predict${receipts ? "?receipt=true" : ""}`, content, type);
  }

  // The numbers of one answer as an event of a source.
  publish(source, prediction) {
    const emotions = prediction.faces.map((face) => face.probabilities);
    return this.json("/try/events", {events: [{source, emotions}]});
  }

  correct(correction) {
    return this.json("/try/feedback", correction);
  }

  json(path, document) {
    return this.post(path, JSON.stringify(document), "application/json");
  }

  async post(path, body, type) {
    let answer;
    let found = null;
    try {
      const headers = {"content-type": type};
      const signal = AbortSignal.timeout(PATIENCE_MS);
      answer = await fetch(path, {method: "POST", body, headers, signal});
      found = await answer.json();
    } catch {
      // Nobody is there, or has gone in the midst of the answer, or this is no JSON.
    }
    if (!answer || (answer.ok && !found)) {
      throw this.refusal("dashboard_away");
    }
    if (answer.ok) {
      return found;
    }
    if (answer.status === 401) {
      throw this.refusal("login");
    }
    const againMs = 1000 * (Number(answer.headers.get("retry-after")) || 2); // it may be a date
    if (Object.hasOwn(this.words.errors, found?.reason)) {
      throw this.refusal(found.reason, againMs);
    }
    throw new Refusal(found?.detail ?? `${answer.status} ${answer.statusText}`, againMs);
  }
}
