// Redelivery of one event to a destination.
import { el, setText, show } from "./dom.js";
import { get, post } from "./api.js";
import { data, inline } from "./text.js";

// redelivery is the part of an opened event that redelivers it; null if there is
// no destination.
export async function redelivery({ event }) {
  const destinations = await get("/api/destinations").catch(() => []);
  if (destinations.length === 0) return null;
  const choice = el("select", { "aria-label": "Destination" }, destinations.map((d) => el("option", { value: d.name }, inline(d.name))));
  const answer = el("p", { class: "hint", role: "status" });
  const go = el("button", { type: "submit", class: "small primary" });
  const form = el("form", { class: "again", hidden: true }, el("label", {}, "Send it again to ", choice), go,
    el("button", { type: "button", class: "small quiet", onclick: () => toggle(false) }, "Cancel"));
  const open = el("button", { type: "button", class: "small", "aria-expanded": false, onclick: () => toggle(true) }, "Redeliver…");
  const name = () => setText(go, `Redeliver to ${inline(choice.value)}`);
  function toggle(on) {
    show(form, on);
    show(open, !on);
    open.setAttribute("aria-expanded", on);
    (on ? choice : open).focus();
  }
  choice.addEventListener("change", name);
  name();
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    go.disabled = true;
    try {
      const r = await post("/api/redeliver", { destination: choice.value, event_id: event.event_id });
      const skipped = r.events.find((x) => x.skipped)?.skipped;
      answer.replaceChildren(r.count > 0 ? "It goes to " : "It doesn't go to ", data(choice.value), r.count > 0 ? " again." : skipped ? `: ${inline(skipped)}.` : ".");
    } catch (failure) {
      answer.replaceChildren(data(failure.message));
    }
    go.disabled = false;
    toggle(false);
  });
  return el("div", { class: "redeliver" }, open, form, answer);
}
