// The filter of the list. It is kept in the page's address, so that it survives
// a reload and can be shared.
import { $, el } from "./dom.js";
import { url } from "./api.js";

const fields = ["event", "account", "object", "text", "source", "only"];
const most = 10000000; // events of one export
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
    for (const select of this.form.querySelectorAll("select")) select.value ||= ""; // the address named an unknown option
    this.#exclude();
    this.form.addEventListener("input", () => this.#soon(300));
    this.form.addEventListener("submit", (e) => {
      e.preventDefault();
      this.#soon(0);
    });
    this.form.addEventListener("reset", () => this.#soon(0));
    known.forEach((n) => this.suggest("event-names", n));
  }

  // chosen has only the fields that are set.
  get chosen() {
    const set = fields.map((f) => [f, this.form.elements[f].value.trim()]).filter(([, v]) => v !== "");
    return Object.fromEntries(set);
  }

  // value has the same as parameters of the API.
  get value() {
    const { only, ...value } = this.chosen;
    if (only === "unknown") value.event = "unknown";
    if (only === "duplicate") value.duplicate = "true";
    return value;
  }

  // exports makes the links save what the list shows; the list begins at until.
  exports(until) {
    for (const format of ["csv", "ndjson"]) {
      const query = new URLSearchParams({ ...this.value, ...(until && { until: until.toISOString() }), format, limit: most, download: "" });
      $(`export-${format}`).href = url(`/api/events?${query}`);
    }
  }

  set(field, value) {
    if (field === "event") this.form.elements.only.value = "";
    this.form.elements[field].value = value;
    this.#soon(0);
  }

  clear() {
    this.form.reset();
  }

  // suggest adds a suggestion for a field, up to a limit.
  suggest(list, value) {
    const seen = this.#seen[list];
    if (!value || seen.has(value) || seen.size >= 100) return;
    seen.add(value);
    $(list).append(el("option", { value }));
  }

  // exclude disables the field that "Not understood" decides.
  #exclude() {
    this.form.elements.event.disabled = this.form.elements.only.value === "unknown";
  }

  #soon(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#exclude();
      const query = new URLSearchParams(this.chosen).toString();
      history.replaceState(null, "", query ? `?${query}` : location.pathname);
      this.changed(this.value);
    }, ms);
  }
}
