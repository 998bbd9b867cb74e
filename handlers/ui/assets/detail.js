// One event, opened: its fields, how it came, and its body as it came.
import { $, el, show } from "./dom.js";
import { get } from "./api.js";
import { colour, family, source } from "./describe.js";
import { full, parse, utc } from "./time.js";

const gregorian = 62167219200; // seconds from year 0 to 1970: Kazoo's timestamps

export class Detail {
  #request = null;

  // only(field, value) narrows the list; closed() gives the focus back.
  constructor({ only, closed }) {
    this.only = only;
    this.closed = closed;
    this.node = $("detail");
    this.node.addEventListener("keydown", (e) => {
      if (e.key === "Escape") this.close();
    });
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
      if (e.name !== "AbortError") this.#fill(seq, [el("p", { class: "error", role: "alert" }, e.message)]);
    }
  }

  close() {
    this.#request?.abort();
    show(this.node, false);
    document.body.classList.remove("opened");
    this.closed();
  }

  #fill(seq, content, e) {
    const name = e?.event.event ?? `Event ${seq}`;
    this.node.replaceChildren(
      el("header", {},
        el("h3", { id: "detail-title" }, e && el("span", { class: "dot", "data-family": colour(family(name)), "aria-hidden": "true" }), name),
        el("button", { type: "button", class: "quiet close", "aria-label": "Close", onclick: () => this.close() }, "✕")),
      ...content);
    this.node.dataset.seq = seq;
    show(this.node, true);
    document.body.classList.add("opened");
  }

  #content({ event, message, problems, raw, delivery }) {
    const at = parse(event.received_at);
    const [, meaning] = source(event.source);
    return [
      el("p", { class: "lead" }, message, event.object_name && el("strong", {}, ` ${event.object_name}`)),
      el("p", { class: "hint" }, el("time", { title: utc(at), datetime: event.received_at }, full(at)), ` · ${meaning}`),
      problems.length > 0 && el("ul", { class: "problems" }, problems.map((p) => el("li", {}, p))),
      el("div", { class: "narrow-to" },
        this.#narrow("event", event.event), this.#narrow("account", event.account_id), this.#narrow("object", event.object_id)),
      section("Fields", list(this.#top(event))),
      section("Data", event.data && Object.keys(event.data).length > 0 ? list(flat(event.data)) : el("p", { class: "hint" }, "No more fields.")),
      section("Delivery", list(deliveryFields(delivery))),
      section(`Body · ${raw.content_type || "no type"} · ${raw.size} bytes`,
        raw.encoding && el("p", { class: "hint" }, `Not valid UTF-8, shown as ${raw.encoding}.`),
        el("pre", { tabindex: "0", "aria-label": "Raw body, secrets masked" }, raw.body)),
    ].filter(Boolean);
  }

  #narrow(field, value) {
    if (!value) return null;
    return el("button", { type: "button", class: "chip", title: value, onclick: () => this.only(field, value) }, `Only this ${field}`);
  }

  #top(event) {
    return Object.entries(event).filter(([k]) => k !== "data" && k !== "event");
  }
}

function section(title, ...content) {
  return el("section", {}, el("h4", {}, title), ...content);
}

function list(pairs) {
  return el("dl", { class: "fields" }, pairs.map(([k, v]) => [el("dt", {}, k), el("dd", { "data-type": typeof v }, value(v))]));
}

function value(v) {
  if (v === null || v === "") return el("span", { class: "hint" }, v === null ? "null" : "empty");
  if (typeof v === "number" && v > gregorian && v < gregorian + 4102444800) {
    const at = new Date((v - gregorian) * 1000);
    return [String(v), el("span", { class: "hint", title: utc(at) }, ` ${full(at)}`)];
  }
  return String(v);
}

// flat names nested fields by their path.
function flat(data, prefix = "") {
  return Object.entries(data).flatMap(([k, v]) => {
    const path = prefix ? `${prefix} › ${k}` : k;
    if (Array.isArray(v)) return v.every((x) => typeof x !== "object") ? [[path, v.join(", ")]] : flat(Object.fromEntries(v.entries()), path);
    return v !== null && typeof v === "object" ? flat(v, path) : [[path, v]];
  });
}

function deliveryFields(d) {
  const { firing, ...rest } = d;
  const pairs = Object.entries(rest);
  if (firing) pairs.push(["Kazoo's firing", firing.id], ["first try", firing.first], ["last try", firing.last]);
  return pairs;
}
