// Events by family over the last hour or day, as bars that we draw.
import { $, el, setText, svg } from "./dom.js";
import { get } from "./api.js";
import { colour } from "./describe.js";
import { hm, utc } from "./time.js";

const tall = 132, left = 34, bottom = 20, top = 8;
const drawn = 6; // families drawn separately; the others are one

export class Chart {
  #span = "1h";
  #rates = null;
  #timer = 0;

  constructor() {
    this.plot = $("plot");
    this.tip = el("p", { class: "tip", hidden: true });
    document.querySelectorAll("[data-span]").forEach((b) => b.addEventListener("click", () => this.#choose(b)));
    $("chart-table").parentElement.addEventListener("toggle", () => this.#table());
    new ResizeObserver(() => this.#draw()).observe(this.plot);
    this.plot.addEventListener("pointermove", (e) => this.#point(e));
    this.plot.addEventListener("pointerleave", () => (this.tip.hidden = true));
  }

  #choose(button) {
    this.#span = button.dataset.span;
    document.querySelectorAll("[data-span]").forEach((b) => b.setAttribute("aria-pressed", b === button));
    this.load();
  }

  // load asks for the counts now, and repeats that.
  async load() {
    clearTimeout(this.#timer);
    const span = this.#span;
    let pause = 5000;
    try {
      const rates = await get("/api/rates", { span });
      if (span !== this.#span) return;
      if (!rates.complete) pause = 300; // older events are still being counted
      this.#rates = together(rates);
      this.#draw();
    } catch {
      // The top of the page shows what is wrong.
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (document.hidden ? this.#later() : this.load()), pause);
  }

  #later() {
    document.addEventListener("visibilitychange", () => this.load(), { once: true });
  }

  #draw() {
    const r = this.#rates;
    const wide = this.plot.clientWidth;
    if (!r || wide === 0) return;
    const sums = r.families[0]?.counts.map((_, i) => r.families.reduce((s, f) => s + f.counts[i], 0)) ?? [];
    const most = ceiling(Math.max(0, ...sums));
    const x = (i) => left + ((wide - left) * i) / r.steps;
    const y = (n) => top + (tall - top - bottom) * (1 - n / most);
    const picture = svg("svg", { viewBox: `0 0 ${wide} ${tall}`, width: wide, height: tall, role: "img", "aria-label": inWords(r, sums) });
    for (const n of [0, most / 2, most]) {
      picture.append(svg("line", { class: n ? "grid" : "axis", x1: left, x2: wide, y1: y(n), y2: y(n) }));
      if (Number.isInteger(n)) picture.append(svg("text", { class: "tick", x: left - 6, y: y(n) + 3.5, "text-anchor": "end" }, String(n)));
    }
    for (let i = 1; i < r.steps; i++) {
      if (!round(r.time(i), r.span, wide) || x(i) > wide - 20) continue;
      picture.append(svg("text", { class: "tick", x: x(i), y: tall - 5, "text-anchor": "middle" }, hm(r.time(i))));
    }
    if (r.completeStep > 0) {
      picture.append(svg("rect", { class: "uncounted", x: left, width: x(r.completeStep) - left, y: top, height: tall - top - bottom }));
    }
    const base = new Array(r.steps).fill(0);
    const gap = (wide - left) / r.steps > 5 ? 1 : 0.3;
    for (const f of r.families) {
      f.counts.forEach((n, i) => {
        if (n === 0) return;
        const upper = y(base[i] + n);
        picture.append(svg("rect", { class: "part", "data-colour": f.colour, x: x(i) + gap / 2, width: x(i + 1) - x(i) - gap, y: upper, height: y(base[i]) - upper }));
        base[i] += n;
      });
    }
    this.plot.replaceChildren(picture, this.tip);
    if (sums.every((n) => n === 0)) {
      this.plot.append(el("p", { class: "empty" }, `No events in the ${r.span === "1h" ? "last hour" : "last day"}.`));
    }
    setText($("chart-total"), r.complete ? number(r.total) : `${number(r.total)} · counting…`);
    $("legend").replaceChildren(...r.families.map((f) => el("li", {}, el("span", { class: "dot", "data-colour": f.colour, "aria-hidden": "true" }), f.family, " ", el("b", {}, number(f.total)))));
    this.#table();
  }

  #table() {
    const node = $("chart-table");
    if (!node.parentElement.open || !this.#rates) return;
    const { scrollTop } = node;
    node.replaceChildren(table(this.#rates));
    node.scrollTop = scrollTop;
  }

  #point(e) {
    const r = this.#rates;
    const box = this.plot.getBoundingClientRect();
    const i = Math.floor(((e.clientX - box.left - left) / (box.width - left)) * r?.steps);
    this.tip.hidden = !(i >= 0 && i < r?.steps);
    if (this.tip.hidden) return;
    const parts = r.families.filter((f) => f.counts[i] > 0).map((f) => `${f.family} ${f.counts[i]}`);
    setText(this.tip, `${hm(r.time(i))}–${hm(r.time(i + 1))}  ${parts.join(" · ") || "nothing"}`);
    this.tip.title = utc(r.time(i));
    const at = e.clientX - box.left;
    this.tip.style.left = `${Math.min(Math.max(0, at - this.tip.offsetWidth / 2), box.width - this.tip.offsetWidth)}px`;
  }
}

// together joins the families that would need too many colours.
function together(r) {
  const from = new Date(r.from);
  const steps = Math.round((new Date(r.to) - from) / 1000 / r.step_seconds);
  const families = r.families.slice(0, drawn).map((f) => ({ ...f, colour: colour(f.family) }));
  const rest = r.families.slice(drawn);
  if (rest.length > 0) {
    families.push({
      family: "others", colour: "other", total: rest.reduce((s, f) => s + f.total, 0),
      counts: rest[0].counts.map((_, i) => rest.reduce((s, f) => s + f.counts[i], 0)),
    });
  }
  const completeStep = Math.ceil((new Date(r.complete_from) - from) / 1000 / r.step_seconds);
  return { ...r, families, steps, completeStep, time: (i) => new Date(from.getTime() + i * r.step_seconds * 1000) };
}

function inWords(r, sums) {
  const span = r.span === "1h" ? "last hour" : "last day";
  if (r.total === 0) return `No events in the ${span}.`;
  const peak = sums.indexOf(Math.max(...sums));
  const parts = r.families.map((f) => `${f.family} ${f.total}`).join(", ");
  return `${r.total} events in the ${span}: ${parts}. Most, ${sums[peak]}, from ${hm(r.time(peak))} to ${hm(r.time(peak + 1))}.`;
}

function table(r) {
  const head = el("tr", {}, el("th", { scope: "col" }, "From"), r.families.map((f) => el("th", { scope: "col" }, f.family)));
  const rows = [];
  for (let i = r.steps - 1; i >= 0; i--) {
    if (r.families.every((f) => f.counts[i] === 0)) continue;
    rows.push(el("tr", {}, el("th", { scope: "row", title: utc(r.time(i)) }, hm(r.time(i))), r.families.map((f) => el("td", {}, String(f.counts[i])))));
  }
  return el("table", {}, el("caption", { class: "sr" }, "Events by family"), el("thead", {}, head), el("tbody", {}, rows));
}

// round reports whether a time is a good label below the chart.
function round(date, span, wide) {
  if (span === "1h") return date.getMinutes() % (wide < 480 ? 20 : 10) === 0;
  return date.getMinutes() === 0 && date.getHours() % (wide < 480 ? 6 : 3) === 0;
}

// ceiling is a round number, at least n, whose half is also round.
function ceiling(n) {
  if (n <= 2) return 2;
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 4, 6, 8, 10].map((f) => f * power).find((c) => c >= n && c % 2 === 0) ?? 10 * power;
}

const number = (n) => n.toLocaleString();
