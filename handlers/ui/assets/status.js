// The state of things, asked for every few seconds: the verdict and the facts at
// the top, hooks and consumers at the bottom.
import { $, el, setText, show } from "./dom.js";
import { get } from "./api.js";
import { count, verdict } from "./verdict.js";
import { ago, full, parse, stamp, utc } from "./time.js";
import { learn } from "./names.js";
import { renderAttempts, renderHooks } from "./hooks.js";

const often = 4000, whenBad = 2000;

export class Status {
  #state = {};
  #timer = 0;
  #lastEvent = null;
  #asking = false;
  #soon = false;

  // heard() is called when the receiver answers after it did not.
  constructor({ consumers, heard }) {
    this.consumers = consumers;
    this.heard = heard;
    setInterval(() => this.#facts(), 1000);
    document.addEventListener("visibilitychange", () => document.hidden || this.ask());
  }

  // seen notes an event of the stream, so that its age is right at once, and
  // asks anew if that may have changed what is said.
  seen(at) {
    if (!this.#lastEvent || at > this.#lastEvent) this.#lastEvent = at;
    if ($("hearing").dataset.state === "good" || this.#soon) return;
    this.#soon = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.ask(), 400);
  }

  async ask() {
    if (this.#asking) return;
    this.#asking = true;
    this.#soon = false;
    clearTimeout(this.#timer);
    const lost = this.#state.error;
    try {
      const [overview, checks, consumers, attempts, newest] = await Promise.all([
        get("/api/hooks"), get("/api/checks"), get("/api/consumers"), get("/api/attempts"), get("/api/events", { limit: 1 }),
      ]);
      this.#state = { overview, ready: checks, consumers: (consumers ?? []), attempts: attempts ?? [] };
      this.#lastEvent = parse(newest.events[0]?.received_at) ?? this.#lastEvent;
    } catch (error) {
      if (error.status !== 401) this.#state = { ...this.#state, error };
    }
    this.#asking = false;
    this.#draw();
    if (lost && !this.#state.error) this.heard();
    const pause = this.#state.error || $("hearing").dataset.state === "bad" ? whenBad : often;
    this.#timer = setTimeout(() => document.hidden || this.ask(), pause);
  }

  #draw() {
    const v = verdict(this.#state);
    $("hearing").dataset.state = v.state;
    setText($("hearing-title"), v.title);
    setText($("hearing-text"), v.text);
    setText($("hearing-todo"), v.todo);
    show($("hearing-todo"), v.todo !== "");
    document.title = v.state === "bad" ? `⚠ ${v.title}` : "kazoohook";
    const { overview, consumers, attempts } = this.#state;
    if (!overview) return;
    const r = overview.registration;
    learn(r.account_id, r.account_name);
    setText($("hooks-account"), r.account_name ? `account ${r.account_name}` : "");
    this.#facts();
    renderHooks(overview);
    renderAttempts(attempts, overview);
    this.consumers.draw(consumers);
  }

  #facts() {
    const { overview: o } = this.#state;
    if (!o) return;
    const hooks = o.registration.hooks ?? [];
    const on = hooks.filter((h) => h.id && h.enabled).length;
    const worst = Math.max(0, ...Object.values(o.failures_last_minute ?? {}));
    const { recover: rec, resync: res } = o;
    const found = rec.recovered + res.deleted + res.created;
    fact("hooks", "Hooks on", `${on} of ${hooks.length}`, o.registration.repairs ? `${count(o.registration.repairs, "repair")} since the start` : "as they should be", on < hooks.length);
    fact("budget", "Failure budget", worst < o.failure_limit ? `${worst} of ${o.failure_limit}` : "used up", worst ? "failures in a minute" : "no failure in a minute", worst * 2 >= o.failure_limit);
    moment("event", "Last event", this.#lastEvent, "none yet");
    moment("delivery", "Last delivery", parse(o.last_delivery), "none since the start");
    fact("gaps", "Gaps", o.gaps === 0 ? "none" : `${o.gaps} found`, o.gaps === 0 ? "since the start" : `${count(found, "event")} brought back`);
    fact("checked", "Last compared", res.last_ok ? ago(parse(res.last_ok)) : "not yet", "with Kazoo", false, res.last_ok);
  }
}

const tiles = new Map();

function fact(id, label, value, below, alarm = false, at = null) {
  let t = tiles.get(id);
  if (!t) {
    t = { value: el("dd", { class: "value" }), below: el("dd", { class: "below" }) };
    t.node = el("div", { class: "fact", id: `fact-${id}` }, el("dt", {}, label), t.value, t.below);
    tiles.set(id, t);
    $("facts").append(t.node);
  }
  setText(t.value, value);
  setText(t.below, below);
  t.node.classList.toggle("alarm", alarm);
  const date = at && (at instanceof Date ? at : parse(at));
  if (date) t.node.title = `${full(date)} · ${utc(date)}`;
}

function moment(id, label, date, none) {
  fact(id, label, date ? ago(date) : none, date ? `at ${stamp(date)}` : "", false, date);
}
