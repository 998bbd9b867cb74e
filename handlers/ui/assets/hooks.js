// Our hooks as Kazoo holds them, and what Kazoo could not deliver lately.
import { $, el, show } from "./dom.js";
import { ago, full, parse, utc } from "./time.js";
import { hook } from "./names.js";
import { data, inline } from "./text.js";
import { failing } from "./verdict.js";

export function renderHooks(overview, ready) {
  const hooks = overview.registration.hooks ?? [];
  if (hooks.length === 0) {
    const why = failing(ready, "kazoo") ?? failing(ready, "hooks");
    $("hooks").replaceChildren(el("p", { class: "empty" }, why ? inline(why.reason) : "None yet. They appear after the first login to Kazoo."));
    return;
  }
  const asOf = failing(ready, "kazoo") && parse(overview.registration.ok_at);
  $("hooks").replaceChildren(el("ul", { class: "lines" }, hooks.map((h) => line(h, overview, asOf))));
}

// asOf is when the hooks were last seen, if their state now is unknown.
function line(h, { failures_last_minute: failures, failure_limit: limit }, asOf) {
  let [state, label] = !h.id ? ["bad", "not registered"] : h.enabled ? ["good", "on"] : ["bad", "off"];
  if (asOf) [state, label] = ["", `${label} ${ago(asOf)}`];
  const failed = failures?.[h.id] ?? 0;
  const good = parse(h.last_good);
  const title = [inline(h.name), h.id && `id ${h.id}`, good && `last seen on ${full(good)} (${utc(good)})`].filter(Boolean).join("\n");
  return el("li", { title },
    el("span", { class: "grow" }, hook(h), h.disable_reason && el("span", { class: "hint" }, " ", data(h.disable_reason))),
    failed > 0 && el("span", { class: failed * 2 >= limit ? "pill warn" : "pill" }, `${failed} of ${limit} failures`),
    el("span", { class: `pill ${state}` }, label));
}

// renderAttempts shows failed attempts grouped by hook and reason, newest first.
export function renderAttempts(groups, overview) {
  const node = $("attempts");
  show(node, groups.length > 0);
  const names = new Map((overview.registration.hooks ?? []).map((h) => [h.id, hook(h)]));
  node.replaceChildren(el("h3", {}, "What Kazoo could not deliver lately"), el("ul", { class: "reasons" }, groups.map((g) => {
    const last = parse(g.last);
    return el("li", {},
      el("p", {}, data(g.why)),
      el("p", { class: "hint" }, `${names.get(g.hook_id) ?? inline(g.hook)} · ${g.attempts === 1 ? "1 try" : `${g.attempts.toLocaleString()} tries`}, last `,
        last ? el("time", { title: utc(last) }, ago(last)) : "unknown"));
  })));
}
