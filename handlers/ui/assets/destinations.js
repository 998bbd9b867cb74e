// Destinations: a card for each with its dead letters, and in an opened event the
// outcome of its deliveries.
import { $, el, setText, show } from "./dom.js";
import { get, post } from "./api.js";
import { data, inline, visible } from "./text.js";
import { ago, full, lasting, parse, utc } from "./time.js";
import { count } from "./verdict.js";

const often = 4000; // ms between looks
const letters = 20; // dead letters shown of one destination
const pausedBy = { failures: "after too many failures; it is tried now and then", operator: "by a person", recipient: "because it answered that it wants no more" };

export class Destinations {
  #timer = 0;
  #dead = new Map(); // dead letters by destination, where they are open
  #said = new Map(); // answers to a person's actions, by destination

  constructor() {
    document.addEventListener("visibilitychange", () => document.hidden || this.ask());
  }

  async ask() {
    clearTimeout(this.#timer);
    try {
      const list = await get("/api/destinations");
      for (const d of list) {
        if (d.dead === 0) this.#dead.delete(d.name);
        else if (this.#dead.has(d.name)) this.#dead.set(d.name, await get("/api/dead", { destination: d.name, limit: letters }));
      }
      this.#draw(list);
    } catch {
      // The verdict at the top shows that the receiver doesn't answer.
    }
    this.#timer = setTimeout(() => document.hidden || this.ask(), often);
  }

  #draw(list) {
    show($("destinations"), list.length > 0);
    const node = $("destinations-list");
    const focused = node.contains(document.activeElement) ? document.activeElement.dataset.act : undefined;
    node.replaceChildren(el("ul", { class: "onward" }, list.map((d) => this.#card(d))));
    if (focused) node.querySelector(`[data-act="${CSS.escape(focused)}"]`)?.focus();
  }

  #card(d) {
    const state = d.state === "paused" ? "bad" : d.state === "retrying" ? "warn" : "good";
    const button = (act, text, does) => el("button", { type: "button", class: "small", "data-act": `${act} ${d.name}`, onclick: () => this.#act(d.name, does) }, text);
    const last = parse(d.last_at);
    return el("li", { "data-destination": d.name },
      el("header", {},
        el("h3", {}, data(d.name)), el("span", { class: `pill ${state}` }, d.state), el("span", { class: "hint grow" }, `${d.type} `, d.address && data(d.address)),
        d.state === "paused" ? button("resume", "Resume", () => this.#pause(d.name, "resume")) : button("pause", "Pause", () => this.#pause(d.name, "pause"))),
      d.paused_by && el("p", { class: "problems" }, `Paused ${pausedBy[d.paused_by] ?? ""}. Its events wait.`),
      el("dl", { class: "facts" },
        fact("Waiting", d.waiting.toLocaleString(), d.waiting > 0 ? `the oldest for ${lasting(d.oldest_waiting_seconds)}` : "nothing"),
        fact("Delivered", d.delivered.toLocaleString(), `${d.per_minute.toLocaleString()} within a minute`),
        fact("Dead letters", d.dead.toLocaleString(), d.dead > 0 ? "it did not take them" : "none"),
        fact("Last answer", last ? visible(d.last_status || (d.last_error ? "none" : "taken")) : "none", last ? ago(last) : "nothing was sent yet", last)),
      d.last_error && el("p", { class: "error" }, data(d.last_error)),
      d.last_error && d.last_excerpt && el("pre", { tabindex: "0", "aria-label": "Beginning of the last answer" }, visible(d.last_excerpt, "\n\t")),
      d.dead > 0 && this.#letters(d, button),
      el("p", { class: "hint" }, this.#said.get(d.name) ?? ""));
  }

  #letters(d, button) {
    const open = this.#dead.get(d.name);
    const node = el("details", { open: Boolean(open) },
      el("summary", { "data-act": `letters ${d.name}` }, count(d.dead, "dead letter")),
      open && el("ul", { class: "lines" }, open.map((l) => el("li", {},
        el("span", { class: "grow" }, el("b", {}, data(l.event)), ` seq ${l.seq} `, el("span", { class: "hint" }, count(l.attempts, "attempt"), ": ", data(l.last_error))),
        l.no_body ? el("span", { class: "pill" }, "body no longer kept")
          : button(`again-${l.seq}`, "Redeliver", () => this.#redeliver(d.name, { event_id: l.event_id }))))),
      open && d.dead > open.length && el("p", { class: "hint" }, `And ${(d.dead - open.length).toLocaleString()} more: kazoohook dead lists all.`),
      open && button("again", `Redeliver all ${d.dead.toLocaleString()}`, () => this.#redeliver(d.name, { dead: true })));
    node.addEventListener("toggle", () => {
      if (node.open === this.#dead.has(d.name)) return;
      if (node.open) this.#dead.set(d.name, []);
      else this.#dead.delete(d.name);
      this.ask();
    });
    return node;
  }

  async #pause(name, what) {
    await post(`/api/destinations/${encodeURIComponent(name)}/${what}`, {});
    return what === "pause" ? "Paused. Its events wait." : "Resumed. What waits is due now.";
  }

  async #redeliver(name, which) {
    const r = await post("/api/redeliver", { destination: name, ...which });
    if (r.count === 0) return "Nothing can be delivered again.";
    const left = r.left > 0 ? ` ${count(r.left, "dead letter")} left: repeat it for them.` : "";
    return `${count(r.count, "event")} ${r.count === 1 ? "is" : "are"} delivered again.${left}`;
  }

  async #act(name, does) {
    try {
      this.#said.set(name, await does());
    } catch (e) {
      this.#said.set(name, inline(e.message));
    }
    setText($("said"), this.#said.get(name)); // screen readers don't read out a card that is drawn again
    this.ask();
  }
}

function fact(label, value, below, at) {
  return el("div", { class: "fact", title: at ? `${full(at)} · ${utc(at)}` : undefined }, el("dt", {}, label), el("dd", { class: "value" }, value), el("dd", { class: "below" }, below));
}

// deliveries is the part of an opened event with its outcome at each destination.
// It appears once that is known, and only if there is a destination.
export function deliveries({ event }) {
  const node = el("section", { class: "deliveries", hidden: true }, el("h4", {}, "Deliveries"));
  get(`/api/events/${event.seq}/deliveries`).then((list) => {
    node.append(...list.map(delivery));
    show(node, list.length > 0);
  }, () => {}); // the top of the page shows that the receiver is stopped
  return node;
}

const states = { delivered: ["good", "delivered"], waiting: ["warn", "waiting"], dead: ["bad", "dead letter"], discarded: ["", "discarded"] };

function delivery(d) {
  const [mark, word] = states[d.state] ?? ["", d.state];
  const due = parse(d.due);
  const line = el("p", {}, el("b", {}, data(d.destination)), " ", el("span", { class: `pill ${mark}` }, word), ` ${count(d.attempts, "attempt")}${d.redelivered ? ", redelivered" : ""}`);
  if (due && due > new Date()) line.append(`, the next at ${full(due)}`);
  return el("div", { class: "exchange" }, line,
    d.last_error && d.state !== "delivered" && el("p", { class: "hint" }, data(d.last_error)),
    d.history.length > 0 && el("ol", { class: "attempts" }, d.history.map((a) => {
      const at = parse(a.at);
      const took = a.took_ms.toLocaleString(undefined, { maximumFractionDigits: a.took_ms < 10 ? 1 : 0 });
      return el("li", { value: a.n }, el("time", { title: utc(at), datetime: a.at }, full(at)), ` · ${took} ms · `, data(a.status || (a.error ? "no answer" : "taken")), a.error && el("span", { class: "hint" }, " ", data(a.error)));
    })));
}
