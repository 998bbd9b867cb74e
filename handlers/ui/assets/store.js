// The events that the page holds, newest first. More come live from the stream, and
// older and newer ones page by page.
import { get } from "./api.js";
import { row } from "./describe.js";
import { Stream } from "./stream.js";

const pageSize = 300;
export const most = 100000; // rows held at once
const again = 5000; // ms between requests without a stream
const waitingMost = 5000; // kept while paused; further events are only counted

export class Store extends EventTarget {
  rows = [];
  filter = {};
  until = null; // a Date: the list begins there instead of live
  paused = false;
  waiting = [];
  waitingCount = 0;
  link = "wait"; // live, lost, off, wait
  error = "";
  loaded = false; // the first page is there
  #older = ""; // cursor of the next older page, "" at the end
  #newer = false; // there are newer events than the first row
  #busy = null; // AbortController of the request under way
  #batch = [];
  #look = 0; // timer

  constructor() {
    super();
    this.stream = new Stream({
      event: (e) => this.#take(e),
      gap: () => this.reload(),
      state: (s) => {
        this.link = s;
        this.#tell("link");
      },
    });
  }

  get older() {
    return this.#older !== "" && this.rows.length < most;
  }
  get full() {
    return this.#older !== "" && this.rows.length >= most;
  }
  get newer() {
    return this.#newer;
  }
  get loading() {
    return this.#busy !== null;
  }

  // reload starts again, with the filter and the time that are set.
  async reload() {
    this.#busy?.abort();
    this.#busy = null;
    this.stream.close();
    clearTimeout(this.#look);
    this.#batch = [];
    this.#clearWaiting();
    await this.#request(async (signal) => {
      // Events after the head come from the stream, so none is missed.
      const head = (await get("/api/events", { limit: 1 }, signal)).events[0]?.seq ?? 0;
      const place = this.until ? { until: this.until.toISOString() } : { before: head + 1 };
      const page = await get("/api/events", { ...this.filter, ...place, limit: pageSize }, signal);
      this.rows = page.events.map(row);
      this.#older = page.next;
      this.#newer = this.until !== null;
      this.loaded = true;
      if (!this.until) this.#follow(head);
      this.#tell("reset");
    });
  }

  // follow keeps the list up to date. When the stream shows an event it has no
  // duplicates yet, so a filter for duplicates asks now and then instead.
  #follow(head) {
    if (!this.filter.duplicate) return this.stream.open(head, this.filter);
    const look = async () => {
      const page = await get("/api/events", { ...this.filter, limit: pageSize }).catch(() => null);
      const known = new Set(this.rows.map((r) => r.seq));
      if (page && !this.paused && page.events.some((e) => !known.has(e.seq))) return this.reload();
      this.#look = setTimeout(look, again);
    };
    this.#look = setTimeout(look, again);
  }

  async loadOlder() {
    if (!this.older || this.loading) return;
    await this.#request(async (signal) => {
      const page = await get("/api/events", { ...this.filter, before: this.#older, limit: pageSize }, signal);
      this.rows = this.rows.concat(page.events.map(row));
      this.#older = page.next;
      this.#tell("older");
    });
  }

  // loadNewer goes from a time in the past towards now, and then follows live.
  async loadNewer() {
    if (!this.#newer || this.loading) return;
    await this.#request(async (signal) => {
      const head = (await get("/api/events", { limit: 1 }, signal)).events[0]?.seq ?? 0;
      const from = this.rows[0]?.seq;
      const place = from ? { after: from } : { since: this.until.toISOString() };
      const page = await get("/api/events", { ...this.filter, ...place, before: head + 1, order: "oldest", limit: pageSize }, signal);
      if (page.next === "") {
        this.#newer = false;
        this.until = null;
        this.#follow(head);
      }
      this.#prepend(page.events.map(row).reverse(), true);
    });
  }

  pause(on) {
    this.paused = on;
    if (!on && this.waitingCount > this.waiting.length) {
      this.reload();
      return;
    }
    const rows = this.waiting;
    this.#clearWaiting();
    if (rows.length > 0) this.#prepend(rows);
    this.#tell("paused");
  }

  #take(e) {
    const r = row(e);
    r.arrived = performance.now();
    this.dispatchEvent(new CustomEvent("arrived", { detail: r }));
    if (this.paused) {
      this.waitingCount++;
      if (this.waiting.length < waitingMost) this.waiting.unshift(r);
      this.#tell("paused");
      return;
    }
    // A burst makes one change of the list. It is a timer: a hidden page has no frames.
    if (this.#batch.push(r) === 1) setTimeout(() => this.#prepend(this.#batch.splice(0).reverse()), 30);
  }

  // kept: visible rows stay in place, even at the top.
  #prepend(rows, kept = false) {
    if (rows.length === 0) return this.#tell("paused");
    this.rows = rows.concat(this.rows);
    if (this.rows.length > most) {
      this.rows.length = most;
      this.#older = String(this.rows[most - 1].seq);
    }
    this.#tell("newer", rows.length, kept);
  }

  async #request(f) {
    const mine = new AbortController();
    this.#busy = mine;
    this.#tell("loading");
    try {
      await f(mine.signal);
      this.error = "";
    } catch (e) {
      if (e.name === "AbortError") return;
      this.error = e.message;
      if (e.status === 0 || e.status >= 500) setTimeout(() => this.#busy === null && this.error && this.retry(), 3000);
    } finally {
      if (this.#busy === mine) {
        this.#busy = null;
        this.#tell("loading");
      }
    }
  }

  // retry is called after a failure.
  retry() {
    if (!this.loaded || this.link === "off") this.reload();
  }

  #clearWaiting() {
    this.waiting = [];
    this.waitingCount = 0;
  }

  #tell(what, n = 0, kept = false) {
    this.dispatchEvent(new CustomEvent("change", { detail: { what, n, kept } }));
  }
}
