// The state of the receiver, asked for every few seconds: the verdict and the facts
// at the top, hooks and consumers at the bottom.
import { $, el, setText, show } from "./dom.js";
import { get } from "./api.js";
import { inline, visible } from "./text.js";
import { count, failing, verdict } from "./verdict.js";
import { ago, full, lasting, parse, stamp, utc } from "./time.js";
import { amount } from "./amount.js";
import { learn } from "./names.js";
import { renderAttempts, renderHooks } from "./hooks.js";

const often = 4000, whenBad = 2000;
const marks = { bad: "⚠ ", warn: "⚠ ", good: "● " };
const little = 1 << 30; // bytes free at which doctor warns, too

export class Status {
  #state = {};
  #timer = 0;
  #lastEvent = null;
  #asking = false;
  #soon = false;

  // back() is called when the receiver answers again.
  constructor({ consumers, held, back }) {
    this.consumers = consumers;
    this.held = held;
    this.back = back;
    setInterval(() => this.#facts(), 1000);
    document.addEventListener("visibilitychange", () => document.hidden || this.ask());
  }

  // seen notes an event of the stream, so that its age is right at once. It asks for
  // the state again if the event may have changed the verdict.
  seen(at) {
    if (!this.#lastEvent || at > this.#lastEvent) this.#lastEvent = at;
    if ($("state").dataset.state === "good" || this.#soon) return;
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
      const [overview, checks, consumers, attempts, newest, about] = await Promise.all([
        get("/api/hooks"), get("/api/checks"), get("/api/consumers"), get("/api/attempts"), get("/api/events", { limit: 1 }), get("/api/about"),
      ]);
      const held = overview.resync.awaiting_confirm > 0 ? await get("/api/resync") : null;
      this.#state = { overview, ready: checks, consumers: (consumers ?? []), attempts: attempts ?? [], about, held };
      this.#lastEvent = parse(newest.events[0]?.received_at) ?? this.#lastEvent;
    } catch (error) {
      if (error.status !== 401) this.#state = { ...this.#state, error };
      if (error.noLeader) this.#state.ready = await get("/api/checks").catch(() => this.#state.ready); // each node has its own
    }
    this.#asking = false;
    this.#draw();
    if (lost && !this.#state.error) this.back();
    const pause = this.#state.error || $("state").dataset.state === "bad" ? whenBad : often;
    this.#timer = setTimeout(() => document.hidden || this.ask(), pause);
  }

  #draw() {
    const v = verdict(this.#state);
    $("state").dataset.state = v.state;
    setText($("state-title"), v.title);
    setText($("state-text"), v.text);
    setText($("state-todo"), v.todo);
    show($("state-todo"), v.todo !== "");
    document.title = `${marks[v.state] ?? ""}${v.title} · kazoohook`;
    const { overview, consumers, attempts, held } = this.#state;
    if (!overview) return;
    const r = overview.registration;
    learn(r.account_id, r.account_name);
    setText($("hooks-account"), r.account_name ? `account ${inline(r.account_name)}` : "");
    this.#facts();
    renderHooks(overview, this.#state.ready);
    renderAttempts(attempts, overview);
    this.consumers.draw(consumers);
    this.held.draw(held);
  }

  #facts() {
    const { overview: o, about, ready } = this.#state;
    if (!o) return;
    this.#hooks(o, ready);
    const worst = Math.max(0, ...Object.values(o.failures_last_minute ?? {}));
    const { recover: rec, resync: res } = o;
    const found = rec.recovered + res.deleted + res.created;
    fact("budget", "Failure budget", worst < o.failure_limit ? `${worst} of ${o.failure_limit}` : "used up", worst ? "failures in a minute" : "no failure in a minute", worst * 2 >= o.failure_limit);
    moment("event", "Last event", this.#lastEvent, "none", "in the journal");
    moment("delivery", "Last delivery", parse(o.last_delivery), "none", "since the start");
    fact("gaps", "Outages", o.gaps === 0 ? "none" : `${o.gaps.toLocaleString()} found`, o.gaps === 0 ? "since the start" : `${count(found, "event")} recovered`);
    fact("checked", "Last compared", res.last_ok ? ago(parse(res.last_ok)) : "not yet", "with Kazoo", false, res.last_ok);
    if (about.cluster) this.#cluster(about.cluster);
    const { disk } = about;
    fact("disk", "Disk", disk ? `${amount(disk.free_bytes)} free` : "not known", `journal ${amount(about.journal_bytes)}`, disk && disk.free_bytes < little);
    fact("uptime", "Uptime", lasting(about.uptime_seconds), visible(`version ${about.version}`), false, about.started_at);
  }

  #cluster(c) {
    const who = !c.leader ? "no leader" : c.leader === c.node ? `${c.node} leads` : `${c.node}, led by ${c.leader}`;
    const below = c.lag > 0 ? `${who}, ${count(c.lag, "command")} behind` : who;
    fact("cluster", "Nodes", `${c.nodes} of ${c.size}`, visible(below), c.nodes < c.size || !c.leader || Boolean(c.problem));
  }

  #hooks(o, ready) {
    const hooks = o.registration.hooks ?? [];
    const on = hooks.filter((h) => h.id && h.enabled).length;
    const unknown = failing(ready, "kazoo");
    const looked = hooks.length > 0 || o.registration.runs > 0;
    const wrong = unknown ?? (looked && failing(ready, "hooks"));
    const below = unknown ? `as of ${ago(parse(o.registration.ok_at) ?? parse(unknown.since))}`
      : o.registration.repairs ? `${count(o.registration.repairs, "repair")} since the start`
      : !looked ? "not looked at yet"
      : wrong || on < hooks.length ? "not as they should be"
      : hooks.length > 0 ? "as they should be" : "none is wanted";
    fact("hooks", "Hooks on", hooks.length > 0 ? `${on} of ${hooks.length}` : "none", below, Boolean(wrong) || on < hooks.length);
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
  t.node.title = date ? `${full(date)} · ${utc(date)}` : "";
}

function moment(id, label, date, none, where) {
  fact(id, label, date ? ago(date) : none, date ? `at ${stamp(date)}` : where, false, date);
}
