// Puts the parts of the page together.
import { $, el, setText, show } from "./dom.js";
import { get } from "./api.js";
import { Chart } from "./chart.js";
import { Consumers } from "./consumers.js";
import { deliveries, Destinations } from "./destinations.js";
import { Detail } from "./detail.js";
import { Filters } from "./filters.js";
import { Held } from "./held.js";
import { guard } from "./login.js";
import { redelivery } from "./redeliver.js";
import { Status } from "./status.js";
import { most, Store } from "./store.js";
import { Table } from "./table.js";
import { full, moment } from "./time.js";

const restAfter = 60000; // ms hidden before the stream's connection is closed

const store = new Store();
const table = new Table(store, (seq) => detail.open(seq));
const filters = new Filters((filter) => {
  store.filter = filter;
  store.reload();
});
const detail = new Detail({
  only: (field, value) => filters.set(field, value),
  closed: () => table.view.focus({ preventScroll: true }),
  parts: [redelivery, deliveries],
});
const chart = new Chart();
const destinations = new Destinations();
const status = new Status({
  consumers: new Consumers(),
  held: new Held({ done: () => status.ask() }),
  back: () => (store.loaded ? store.stream.resume() : store.reload()),
});

store.addEventListener("arrived", ({ detail: row }) => {
  status.seen(row.at);
  filters.suggest("event-names", row.event);
  filters.suggest("account-ids", row.account);
});
store.addEventListener("change", ({ detail: { what } }) => {
  if (what === "link" && store.link === "lost") status.ask();
  if (what === "reset") store.rows.slice(0, 300).forEach((r) => filters.suggest("account-ids", r.account));
  draw();
});

// draw shows the state of the store besides its rows.
function draw() {
  const links = { live: "Live", lost: "Connection lost, trying again", wait: "Connecting", off: store.until ? "Looking at the past" : store.filter.duplicate && store.loaded ? "Looked at every 5 s" : "Connecting" };
  const link = store.paused && store.link === "live" ? "paused" : store.link;
  $("link").dataset.state = link;
  setText($("link-text"), link === "paused" ? "Paused" : links[link]);

  const pause = $("pause");
  pause.setAttribute("aria-pressed", store.paused);
  setText(pause, store.paused ? (store.waitingCount > 0 ? `Resume · ${store.waitingCount.toLocaleString()} waiting` : "Resume") : "Pause");

  show($("mode"), store.until !== null);
  const n = store.rows.length;
  if (store.until) {
    const older = n > 0 && store.rows[n - 1].at <= store.until;
    setText($("mode-text"), older ? `Events up to ${full(store.until)}. Scroll up for newer ones.`
      : `Nothing here is older than ${full(store.until)}: these are the oldest events.`);
  }
  setText($("count"), store.error && n > 0 ? `${n.toLocaleString()} events · ${store.error}` : store.full ? `${most.toLocaleString()} events are shown at most: filter or jump to see older ones`
    : `${n.toLocaleString()}${store.older ? "+" : ""} event${n === 1 ? "" : "s"}${store.loading ? " · loading" : ""}`);
  filters.exports(store.until);
  blank();
}

// blank says what to do if there is nothing to show.
function blank() {
  const node = $("blank");
  const filtered = Object.keys(store.filter).length > 0;
  const [title, text, label, act] =
    store.error && store.rows.length === 0 ? ["The events could not be read", store.error, "Try again", () => store.reload()]
    : store.rows.length > 0 || !store.loaded || store.newer ? []
    : store.filter.duplicate ? ["No duplicates", "Kazoo sent none of these events more than once, as far as that is kept: of the newest 10,000 duplicates.", "Clear the filter", () => filters.clear()]
    : filtered ? ["No event matches", "Names and accounts may hold * and ?; an object is matched by its whole id.", "Clear the filter", () => filters.clear()]
    : ["No events yet", "They appear here as Kazoo sends them. Save a user in Kazoo to see one.", "", null];
  show(node, title !== undefined);
  if (node.dataset.text === `${title}${text}`) return;
  node.dataset.text = `${title}${text}`;
  node.replaceChildren(...(title ? [el("p", { class: "title" }, title), el("p", {}, text), label && el("button", { type: "button", onclick: act }, label)].filter(Boolean) : []));
}

function live() {
  store.until = null;
  store.reload();
}

$("pause").addEventListener("click", () => store.pause(!store.paused));
$("to-live").addEventListener("click", live);
$("jump").addEventListener("submit", (e) => {
  e.preventDefault();
  const field = $("jump-to");
  const at = moment(field.value);
  field.setAttribute("aria-invalid", at === null);
  show($("jump-error"), at === null);
  setText($("jump-error"), at === null ? "Write how long ago, like 90m, 2h or 7d, or a time, like 14:30 or 2026-01-31 14:30." : "");
  if (at === null) return field.focus();
  store.until = at;
  store.reload();
});

let hidden = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hidden);
  if (document.hidden) hidden = setTimeout(() => store.stream.rest(), restAfter);
  else store.stream.resume();
});

// begin sends one request first, so that the login appears only once.
async function begin() {
  try {
    await get("/api/hooks");
  } catch (e) {
    if (e.status === 401) return;
  }
  show($("app"), true);
  store.filter = filters.value;
  store.reload();
  chart.load();
  status.ask();
  destinations.ask();
}

guard(begin);
begin();
