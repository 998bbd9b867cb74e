// Puts the parts of the page together.
import { $, el, setText, show } from "./dom.js";
import { get } from "./api.js";
import { Chart } from "./chart.js";
import { Consumers } from "./consumers.js";
import { Detail } from "./detail.js";
import { Filters } from "./filters.js";
import { guard } from "./login.js";
import { Status } from "./status.js";
import { most, Store } from "./store.js";
import { Table } from "./table.js";
import { full, localInput } from "./time.js";

const restAfter = 60000; // ms hidden before the stream's connection is let go

const store = new Store();
const table = new Table(store, (seq) => detail.open(seq));
const filters = new Filters((filter) => {
  store.filter = filter;
  store.reload();
});
const detail = new Detail({
  only: (field, value) => filters.set(field, value),
  closed: () => table.view.focus({ preventScroll: true }),
});
const chart = new Chart();
const status = new Status({
  consumers: new Consumers(),
  heard: () => (store.loaded ? store.stream.resume() : store.reload()),
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

// draw shows what the store says besides its rows.
function draw() {
  const links = { live: "Live", lost: "Connection lost, trying again", wait: "Connecting", off: store.until ? "Looking at the past" : "Connecting" };
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
  blank();
}

// blank says what to do where there is nothing to show.
function blank() {
  const node = $("blank");
  const filtered = Object.keys(store.filter).length > 0;
  const [title, text, label, act] =
    store.error && store.rows.length === 0 ? ["The events could not be read", store.error, "Try again", () => store.reload()]
    : store.rows.length > 0 || !store.loaded || store.newer ? []
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
$("jump-to").max = localInput(new Date(Date.now() + 86400000));
$("jump").addEventListener("submit", (e) => {
  e.preventDefault();
  const at = new Date($("jump-to").value);
  if (Number.isNaN(at.getTime())) return $("jump-to").showPicker?.();
  store.until = at;
  store.reload();
});

let hidden = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hidden);
  if (document.hidden) hidden = setTimeout(() => store.stream.rest(), restAfter);
  else store.stream.resume();
});

// begin asks one thing first, so that a login is asked for once.
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
}

guard(begin);
begin();
