// One event, opened: its fields, its requests, and its body as received.
import { $, el, show } from "./dom.js";
import { get } from "./api.js";
import { copy, curl, json } from "./copy.js";
import { colour, family, source } from "./describe.js";
import { data, inline, visible } from "./text.js";
import { full, parse, utc } from "./time.js";

const over = matchMedia("(max-width: 1099px)"); // where an event covers the page (parts.css)
const gregorian = 62167219200; // seconds from year 0 to 1970: Kazoo's timestamps

export class Detail {
  #request = null;

  // only(field, value) narrows the list; closed() gives the focus back. Each function
  // in parts is called with the answer of /api/events/{seq}. It returns an element,
  // null, or a promise of either.
  constructor({ only, closed, parts = [] }) {
    this.only = only;
    this.parts = parts;
    this.closed = closed;
    this.node = $("detail");
    this.node.addEventListener("keydown", (e) => {
      if (e.key === "Escape") this.close();
    });
    over.addEventListener("change", () => this.#behind());
  }

  // behind hides what the opened event covers from the keyboard and from screen
  // readers.
  #behind() {
    const covered = over.matches && !this.node.hidden;
    document.querySelectorAll("[data-behind]").forEach((n) => (n.inert = covered));
  }

  async open(seq) {
    this.#request?.abort();
    const mine = (this.#request = new AbortController());
    this.#fill(seq, [el("p", { class: "hint" }, "Reading…")]);
    this.node.focus({ preventScroll: true });
    try {
      const e = await get(`/api/events/${seq}`, {}, mine.signal);
      this.#fill(seq, this.#content(e), e);
    } catch (e) {
      if (e.name !== "AbortError") this.#fill(seq, [el("p", { class: "error", role: "alert" }, data(e.message))]);
    }
  }

  close() {
    this.#request?.abort();
    show(this.node, false);
    document.body.classList.remove("opened");
    this.#behind();
    this.closed();
  }

  #fill(seq, content, e) {
    const name = e?.event.event ?? `Event ${seq}`;
    this.node.replaceChildren(
      el("header", {},
        el("h3", { id: "detail-title" }, e && el("span", { class: "dot", "data-colour": colour(family(name)), "aria-hidden": "true" }), data(name)),
        el("button", { type: "button", class: "quiet close", "aria-label": "Close", onclick: () => this.close() }, "✕")),
      ...content);
    this.node.dataset.seq = seq;
    show(this.node, true);
    document.body.classList.add("opened");
    this.#behind();
  }

  #content(detail) {
    const { event, message, problems, raw, delivery } = detail;
    const at = parse(event.received_at);
    const [, meaning] = source(event.source);
    return [
      el("p", { class: "lead" }, data(message), event.object_name && el("strong", {}, " ", data(event.object_name))),
      el("p", { class: "hint" }, el("time", { title: utc(at), datetime: event.received_at }, full(at)), ` · ${meaning}`),
      problems.length > 0 && el("ul", { class: "problems" }, problems.map((p) => el("li", {}, data(p)))),
      el("div", { class: "narrow-to" },
        this.#narrow("event", event.event), this.#narrow("account", event.account_id), this.#narrow("object", event.object_id)),
      this.#copies(detail),
      ...this.parts.map((part) => later(part(detail))),
      section("Fields", list(this.#top(event))),
      section("Data", event.data && Object.keys(event.data).length > 0 ? list(flat(event.data)) : el("p", { class: "hint" }, "No more fields.")),
      section("Delivery", list(deliveryFields(delivery))),
      received(detail),
      section(`Body · ${raw.content_type ? inline(raw.content_type) : "no type"} · ${raw.size} bytes`,
        raw.encoding && el("p", { class: "hint" }, `Not valid UTF-8, shown as ${raw.encoding}.`),
        el("pre", { tabindex: "0", "aria-label": "Raw body, secrets masked" }, visible(raw.body, "\n\t"))),
    ].filter(Boolean);
  }

  // copies: an event that the receiver found by itself has no request.
  #copies(detail) {
    const requested = ["webhook", "recovered"].includes(detail.event.source);
    const button = (what, text) => el("button", { type: "button", class: "small", onclick: () => copy(text(), what) }, `Copy as ${what}`);
    return el("div", { class: "copy" }, button("JSON", () => json(detail.event)), requested && button("curl", () => curl(detail)));
  }

  #narrow(field, value) {
    if (!value) return null;
    return el("button", { type: "button", class: "chip", title: inline(value), onclick: () => this.only(field, value) }, `Only this ${field}`);
  }

  #top(event) {
    return Object.entries(event).filter(([k]) => k !== "data" && k !== "event");
  }
}

// later is a place for an element that may come later, or never.
function later(promised) {
  const place = el("div");
  Promise.resolve(promised).then((node) => node && place.append(node));
  return place;
}

function section(title, ...content) {
  return el("section", {}, el("h4", {}, title), ...content);
}

// received shows each kept request of an event with its answer. A node of a cluster
// keeps the requests that it took.
function received({ event, requests, requests_unknown: away }) {
  if (event.source !== "webhook") return null;
  const unknown = away?.length > 0 && el("p", { class: "hint" }, data(`What ${away.join(" and ")} took isn't shown: no answer.`));
  if (requests.length === 0) return section("Requests", unknown || el("p", { class: "hint" }, "Headers and answers are kept of the newest 10,000 requests; this one is older."));
  const title = requests.length === 1 ? "Request" : `${requests.length} requests`;
  return section(title, unknown, requests.map((r) => {
    const at = parse(r.received_at);
    const took = `${r.answer.took_ms.toLocaleString(undefined, { maximumFractionDigits: r.answer.took_ms < 10 ? 2 : 0 })} ms`;
    return el("div", { class: "exchange" },
      el("p", {}, r.duplicate && el("b", {}, "Duplicate "), el("time", { title: utc(at), datetime: r.received_at }, full(at)), ` · ${inline(r.method)}${r.remote_addr ? ` from ${inline(r.remote_addr)}` : ""}`),
      el("p", {}, el("span", { class: `pill ${r.answer.written ? "good" : "bad"}` }, r.answer.written ? `${r.answer.status} in ${took}` : `${r.answer.status} could not be sent, after ${took}`)),
      el("details", {}, el("summary", {}, `${r.headers.length} header${r.headers.length === 1 ? "" : "s"}`),
        list(r.headers.map((h) => [h.name, h.value])),
        r.headers_omitted > 0 && el("p", { class: "hint" }, `${r.headers_omitted} more were not kept.`)));
  }));
}

function list(pairs) {
  return el("dl", { class: "fields" }, pairs.map(([k, v]) => [el("dt", {}, data(k)), el("dd", { "data-type": typeof v }, value(v))]));
}

function value(v) {
  if (v === null || v === "") return el("span", { class: "hint" }, v === null ? "null" : "empty");
  if (typeof v === "number" && v > gregorian && v < gregorian + 4102444800) {
    const at = new Date((v - gregorian) * 1000);
    return [String(v), el("span", { class: "hint", title: utc(at) }, ` ${full(at)}`)];
  }
  return data(v);
}

// flat names nested fields by their path.
function flat(data, prefix = "") {
  return Object.entries(data).flatMap(([k, v]) => {
    const path = prefix ? `${prefix} › ${k}` : k;
    if (Array.isArray(v)) return v.every((x) => typeof x !== "object") ? [[path, v.map(inline).join(", ")]] : flat(Object.fromEntries(v.entries()), path);
    return v !== null && typeof v === "object" ? flat(v, path) : [[path, v]];
  });
}

function deliveryFields(d) {
  const { firing, ...rest } = d;
  const pairs = Object.entries(rest);
  if (firing) pairs.push(["Kazoo's firing", firing.id], ["first try", firing.first], ["last try", firing.last]);
  return pairs;
}
