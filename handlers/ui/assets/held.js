// Deletions that a comparison held back: their names, and the confirmation of
// exactly those.
import { $, el, setText, show } from "./dom.js";
import { run } from "./api.js";
import { short } from "./names.js";
import { data, inline, visible } from "./text.js";
import { ago, parse } from "./time.js";
import { count } from "./verdict.js";

export class Held {
  #held = null;
  #busy = false;

  // done() is called when a confirmation has ended.
  constructor({ done }) {
    this.done = done;
    this.dialog = $("confirm");
    $("held-open").addEventListener("click", () => this.#open());
    $("confirm-number").addEventListener("input", () => this.#check());
    $("confirm-cancel").addEventListener("click", () => this.dialog.close());
    $("confirm-form").addEventListener("submit", (e) => {
      e.preventDefault();
      this.#send();
    });
    this.dialog.addEventListener("close", () => {
      if (!$("held").hidden) $("held-open").focus();
      else $("events").focus({ preventScroll: true });
    });
  }

  // draw shows what is held back; null: nothing.
  draw(held) {
    const had = this.#held;
    this.#held = held?.count > 0 ? held : null;
    show($("held"), this.#held !== null);
    if (!this.#held) return;
    setText($("held-title"), `${count(held.count, "deletion")} held back`);
    setText($("held-about"), `A comparison ${ago(parse(held.since) ?? new Date())} found ${held.count.toLocaleString()} objects missing in Kazoo at once. `
      + `More than ${held.limit.toLocaleString()} of a type are reported as deleted only after a person has confirmed it.`);
    if (had?.id === held.id) return; // don't redraw what a person is reading
    const rows = held.objects.map((o) => el("tr", {},
      el("td", {}, data(o.type.replaceAll("_", " "))), el("td", {}, o.name ? data(o.name) : el("span", { class: "hint" }, "no name known")),
      el("td", {}, el("code", {}, visible(o.id))), el("td", {}, data(short(o.account_id)))));
    const more = held.count - held.objects.length;
    $("held-list").replaceChildren(
      el("table", {}, el("caption", { class: "sr" }, "Deletions held back"),
        el("thead", {}, el("tr", {}, ["Type", "Name", "Id", "Account"].map((h) => el("th", { scope: "col" }, h)))), el("tbody", {}, rows)),
      more > 0 ? el("p", { class: "hint" }, `And ${more.toLocaleString()} more. kazoohook resync --dry-run lists all.`) : "");
  }

  #open() {
    const { count: n, objects, types } = this.#held;
    this.confirmed = this.#held; // exactly what was shown is confirmed
    setText($("confirm-title"), `Report ${count(n, "deletion")}?`);
    setText($("confirm-what"), `${inWords(objects, types, n)}.`);
    setText($("confirm-label"), `Type ${n} to confirm`);
    setText($("confirm-go"), `Report ${count(n, "deletion")}`);
    $("confirm-number").value = "";
    this.#answer("");
    this.#check();
    this.dialog.showModal();
    $("confirm-number").focus();
  }

  #check() {
    $("confirm-go").disabled = this.#busy || $("confirm-number").value.trim() !== String(this.confirmed?.count);
  }

  async #send() {
    if ($("confirm-go").disabled) return;
    this.#busy = true;
    this.#check();
    this.#answer("Asking Kazoo…");
    $("confirm-answer").focus();
    try {
      const result = await run("/api/resync", { confirm: true, held: this.confirmed.id },
        (p) => this.#answer(`Asking Kazoo: ${count(p.listed, "object")} listed…`));
      const n = result.deleted.length;
      if (result.held) this.#answer("By now more is missing than was confirmed, so nothing more was reported. Close this, look at the new list and confirm that.", true);
      else this.#answer(n === 0 ? "Nothing was reported: Kazoo has what was missing." : `${count(n, "deletion")} reported.`);
    } catch (e) {
      this.#answer(inline(e.message), true);
    }
    this.#busy = false;
    $("confirm-number").value = "";
    this.#check();
    this.done();
  }

  #answer(text, failed = false) {
    setText($("confirm-answer"), text);
    $("confirm-answer").classList.toggle("error", failed);
  }
}

// inWords says how many of each type are held back, and names the first.
function inWords(objects, types, n) {
  const numbers = Object.entries(types).map(([type, k]) => count(k, inline(type.replaceAll("_", " ")))).join(", ");
  const names = objects.slice(0, 5).map((o) => inline(o.name || o.id)).join(", ");
  const more = n - Math.min(5, objects.length);
  return `${numbers}: ${names}${more > 0 ? ` and ${more.toLocaleString()} more` : ""}`;
}
