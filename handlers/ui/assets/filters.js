// The filter of the list. It is kept in the page's address, so that it survives
// a reload and can be passed on.
import { $, el } from "./dom.js";

const fields = ["event", "account", "object", "text"];
const known = [
  "user.*", "user.deleted", "user.created", "user.edited", "device.*", "account.*", "channel.*", "channel.create",
  "channel.answer", "channel.destroy", "parking.*", "notification.*", "notification.voicemail_new",
  "notification.missed_call", "sms", "mms", "unknown", "*.deleted", "*.created",
];

export class Filters {
  #timer = 0;
  #seen = { "event-names": new Set(), "account-ids": new Set() };

  // changed(filter) is called a moment after the last key.
  constructor(changed) {
    this.changed = changed;
    this.form = $("filters");
    const address = new URLSearchParams(location.search);
    for (const f of fields) this.form.elements[f].value = address.get(f) ?? "";
    this.form.addEventListener("input", () => this.#soon(300));
    this.form.addEventListener("submit", (e) => {
      e.preventDefault();
      this.#soon(0);
    });
    this.form.addEventListener("reset", () => this.#soon(0));
    known.forEach((n) => this.suggest("event-names", n));
  }

  // value has only what is set, as the API's parameters.
  get value() {
    const set = fields.map((f) => [f, this.form.elements[f].value.trim()]).filter(([, v]) => v !== "");
    return Object.fromEntries(set);
  }

  set(field, value) {
    this.form.elements[field].value = value;
    this.#soon(0);
  }

  clear() {
    this.form.reset();
  }

  // suggest adds what may be typed, up to a bound.
  suggest(list, value) {
    const seen = this.#seen[list];
    if (!value || seen.has(value) || seen.size >= 100) return;
    seen.add(value);
    $(list).append(el("option", { value }));
  }

  #soon(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const query = new URLSearchParams(this.value).toString();
      history.replaceState(null, "", query ? `?${query}` : location.pathname);
      this.changed(this.value);
    }, ms);
  }
}
