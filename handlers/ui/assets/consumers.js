// The readers of the journal, how far behind they are, and replay.
import { $, el, setText, show } from "./dom.js";
import { post } from "./api.js";
import { lasting } from "./time.js";
import { data } from "./text.js";
import { count, late } from "./verdict.js";

// replayable are the consumers that the API can move back.
const replayable = ["log"];
const about = {
  log: "prints each event as a line of the log",
  snapshot: "keeps what is known of Kazoo's objects",
};

export class Consumers {
  #name = "";

  constructor() {
    this.dialog = $("replay");
    $("replay-form").addEventListener("submit", (e) => {
      e.preventDefault();
      this.#send(true);
    });
    $("replay-from").addEventListener("input", () => this.#answer(""));
    $("replay-go").addEventListener("click", () => this.#send(false));
    $("replay-cancel").addEventListener("click", () => this.dialog.close());
  }

  draw(consumers) {
    const node = $("consumers");
    if (consumers.length === 0) {
      node.replaceChildren(el("p", { class: "empty" }, "No consumer has read anything yet. They appear with the first event."));
      return;
    }
    const focused = node.contains(document.activeElement);
    node.replaceChildren(el("ul", { class: "lines" }, consumers.map((c) => this.#line(c))));
    if (focused) node.querySelector("button")?.focus();
  }

  #line(c) {
    const state = c.error ? "bad" : late(c) ? "warn" : c.lag > 0 ? "" : "good";
    const behind = c.lag > 0 ? `${count(c.lag, "event")} behind, ${lasting(c.lag_seconds)}` : "up to date";
    return el("li", {},
      el("span", { class: "grow" }, el("b", {}, data(c.name)), " ", el("span", { class: "hint" }, c.error ? data(c.error) : about[c.name] ?? "")),
      el("span", { class: "quietly num", title: "seq of the last event it is done with" }, `at ${c.cursor.toLocaleString()}`),
      el("span", { class: `pill ${state}` }, c.error ? `stuck, ${behind}` : behind),
      replayable.includes(c.name) && el("button", { type: "button", class: "small", onclick: () => this.#open(c.name) }, "Replay…"));
  }

  #open(name) {
    this.#name = name;
    setText($("replay-title"), `Replay to ${name}`);
    setText($("replay-about"), `Moves ${name} back, so that it handles events again: it ${about[name] ?? "handles them"}.`);
    this.#answer("");
    this.dialog.showModal();
    $("replay-from").focus();
  }

  // A dry run counts the events; only then a button appears that replays them.
  async #send(dryRun) {
    const text = $("replay-from").value.trim();
    const from = /^\d+$/.test(text) ? Number(text) : text;
    try {
      const r = await post("/api/replay", { consumer: this.#name, from, dry_run: dryRun });
      const events = count(r.events, "event");
      if (dryRun) this.#answer(r.events > 0 ? `${events} would be handled again, from seq ${r.from} to ${r.cursor}.` : "Nothing is there to be handled again.", r.events);
      else this.#answer(`${events} are being handled again.`);
    } catch (e) {
      this.#answer(e.message, 0, true);
    }
  }

  #answer(text, events = 0, failed = false) {
    setText($("replay-answer"), text);
    $("replay-answer").classList.toggle("error", failed);
    const go = $("replay-go");
    show(go, events > 0);
    setText(go, `Replay ${count(events, "event")}`);
  }
}
