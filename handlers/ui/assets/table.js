// The list of events. Only visible rows exist as elements.
import { $, el, setText, show } from "./dom.js";
import { colour, family, source } from "./describe.js";
import { stamp, utc } from "./time.js";
import { short } from "./names.js";
import { inline, visible } from "./text.js";

const beyond = 8; // rows drawn above and below the visible ones
const near = 60; // rows from the end at which more are fetched
const newFor = 2000; // ms

export class Table {
  #slots = []; // elements in use, by index modulo their number
  #active = null; // seq of the row that the keys move
  #unseen = 0; // arrived above the visible rows
  #asked = 0; // the frame asked for

  // open(seq) is called for a row that is clicked or entered.
  constructor(store, open) {
    this.store = store;
    this.open = open;
    this.view = $("view");
    this.space = $("space");
    this.view.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.view.addEventListener("keydown", (e) => this.#key(e));
    this.space.addEventListener("click", (e) => {
      const seq = Number(e.target.closest(".row")?.dataset.seq);
      if (seq) this.activate(seq, true);
    });
    $("fresh").addEventListener("click", () => this.toTop());
    new ResizeObserver(() => this.draw()).observe(this.view);
    store.addEventListener("change", (e) => this.#changed(e.detail));
  }

  get height() {
    return parseFloat(getComputedStyle(this.view).getPropertyValue("--row")) || 36;
  }

  toTop() {
    this.#unseen = 0;
    this.view.scrollTop = 0;
    this.draw();
  }

  #changed({ what, n, kept }) {
    if (what === "reset") {
      this.#active = null;
      this.toTop();
    } else if (what === "newer" && (kept || this.view.scrollTop > this.height / 2)) {
      // A person who reads further down must not lose the line.
      this.#unseen += n;
      this.#size();
      this.view.scrollTop += n * this.height;
    } else if (what === "loading" && !this.store.loading && this.view.scrollTop < this.height) {
      this.store.loadNewer(); // so that there is somewhere to scroll up to
    }
    this.draw();
  }

  #scrolled() {
    this.draw();
    const at = this.view.scrollTop / this.height;
    if (at < 1 && !this.store.newer) this.#unseen = 0;
    if (at + this.view.clientHeight / this.height + near > this.store.rows.length) this.store.loadOlder();
    if (at < 2) this.store.loadNewer();
  }

  draw() {
    if (this.#asked) return;
    // A hidden page has no frames; then the timer draws.
    const now = () => {
      cancelAnimationFrame(this.#asked);
      clearTimeout(timer);
      this.#asked = 0;
      this.#draw();
    };
    const timer = setTimeout(now, 100);
    this.#asked = requestAnimationFrame(now);
  }

  #size() {
    this.space.style.height = `${this.store.rows.length * this.height}px`;
  }

  #draw() {
    const { rows } = this.store;
    const height = this.height;
    this.#size();
    const from = Math.max(0, Math.floor(this.view.scrollTop / height) - beyond);
    const to = Math.min(rows.length, Math.ceil((this.view.scrollTop + this.view.clientHeight) / height) + beyond);
    const need = Math.ceil(this.view.clientHeight / height) + 2 * beyond + 2;
    while (this.#slots.length < need) {
      const slot = newSlot();
      this.#slots.push(slot);
      this.space.append(slot.node);
    }
    const count = this.#slots.length;
    const used = new Set();
    for (let i = from; i < to; i++) {
      used.add(i % count);
      fillSlot(this.#slots[i % count], rows[i], i, height, rows[i].seq === this.#active);
    }
    this.#slots.forEach((s, i) => used.has(i) ? show(s.node, true) : emptySlot(s));
    this.view.setAttribute("aria-rowcount", this.store.older || this.store.full ? -1 : rows.length);
    if (this.#active && document.getElementById(`row-${this.#active}`)) this.view.setAttribute("aria-activedescendant", `row-${this.#active}`);
    else this.view.removeAttribute("aria-activedescendant");
    const fresh = $("fresh");
    show(fresh, this.#unseen > 0 && this.view.scrollTop > height);
    setText(fresh, `↑ ${this.#unseen.toLocaleString()} newer`);
  }

  activate(seq, open) {
    this.#active = seq;
    this.draw();
    if (open) this.open(seq);
  }

  #key(e) {
    const { rows } = this.store;
    if (rows.length === 0 || e.ctrlKey || e.metaKey || e.altKey) return;
    const page = Math.max(1, Math.floor(this.view.clientHeight / this.height) - 1);
    const at = rows.findIndex((r) => r.seq === this.#active);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -rows.length, End: rows.length };
    if (e.key === "Enter" && at >= 0) {
      this.open(rows[at].seq);
    } else if (e.key in steps) {
      const top = Math.round(this.view.scrollTop / this.height);
      const to = at < 0 ? top : Math.min(rows.length - 1, Math.max(0, at + steps[e.key]));
      this.activate(rows[to].seq, false);
      this.#into(to);
    } else {
      return;
    }
    e.preventDefault();
  }

  #into(i) {
    const { height } = this;
    if (i * height < this.view.scrollTop) this.view.scrollTop = i * height;
    const bottom = (i + 1) * height - this.view.clientHeight;
    if (bottom > this.view.scrollTop) this.view.scrollTop = bottom;
  }
}

function newSlot() {
  const cell = (name) => el("span", { class: name, role: "gridcell" });
  const name = el("span", { class: "name" });
  const slot = { time: cell("time"), event: cell("event"), what: cell("what"), account: cell("account"), source: cell("source"), name };
  slot.dot = el("span", { class: "dot", "aria-hidden": "true" });
  slot.event.append(slot.dot, name);
  slot.node = el("div", { class: "row", role: "row" }, slot.time, slot.event, slot.what, slot.account, slot.source);
  return slot;
}

// emptySlot hides a slot and removes the row's id, because another slot may have it.
function emptySlot(slot) {
  show(slot.node, false);
  slot.node.removeAttribute("id");
  slot.row = null;
}

function fillSlot(slot, r, index, height, active) {
  const { node } = slot;
  node.style.transform = `translateY(${index * height}px)`;
  node.setAttribute("aria-rowindex", index + 1);
  node.setAttribute("aria-selected", active);
  node.classList.toggle("active", active);
  node.classList.toggle("new", r.arrived !== undefined && performance.now() - r.arrived < newFor);
  if (slot.row === r) return;
  slot.row = r;
  node.id = `row-${r.seq}`;
  node.dataset.seq = r.seq;
  node.dataset.source = r.source;
  slot.time.textContent = stamp(r.at);
  slot.time.title = utc(r.at);
  slot.dot.dataset.colour = colour(family(r.event));
  slot.name.textContent = visible(r.event);
  slot.event.title = inline(r.event);
  slot.what.textContent = r.what || "—";
  slot.what.title = r.problem || r.what;
  slot.account.textContent = short(r.account);
  slot.account.title = inline(r.account);
  const [label, title] = source(r.source);
  slot.source.textContent = label;
  slot.source.title = title;
}
