// Is everything in order? One answer from all that the receiver reports.
import { ago, lasting, parse } from "./time.js";
import { inline } from "./text.js";

const recent = 10 * 60 * 1000; // failed attempts younger than this mean something
const takeOver = 20 * 1000; // an election takes no longer

// verdict is {state: good|idle|warn|bad|wait, title, text, todo}. It names only the
// worst problem. The receiver's own checks, in their words, come before the page's
// own conclusions.
export function verdict({ overview, ready, consumers, attempts, error }) {
  if (error && error.status === 0) {
    return bad("No answer from the receiver", "This page can't reach it and tries again by itself.", "Look whether kazoohook runs, and at the end of its log.");
  }
  if (error?.noLeader) return election(ready);
  if (error && error.status === 403) return bad("Not allowed", inline(error.message));
  if (error) return bad("The receiver can't answer", inline(error.message), "Its log gives the reason.");
  if (!overview) return { state: "wait", title: "Asking the receiver", text: "One moment.", todo: "" };
  return checks(ready, overview) ?? delivery(overview, attempts) ?? apiTrouble(overview) ?? budget(overview, attempts) ?? confirmation(overview) ?? lagging(consumers) ?? fine(overview);
}

// election: only the leader of a cluster can answer the page's first request. An
// election takes seconds; if it takes longer, the checks give the reason.
function election(ready) {
  const c = failing(ready, "cluster");
  const since = parse(c?.since);
  if (c && (c.reason.includes("quorum") || Date.now() - since > takeOver)) return bad(`Not ready: ${inline(c.reason)}`, inline(c.detail), `Since ${ago(since)}. This page tries again by itself.`);
  return { state: "wait", title: "A leader is being elected", text: "No node leads the cluster at the moment. Requests are still taken, and this page tries again by itself.", todo: "" };
}

const bad = (title, text, todo = "") => ({ state: "bad", title, text, todo });
const warn = (title, text, todo = "") => ({ state: "warn", title, text, todo });

// failing returns the first check that fails; with a name, that check if it fails.
export function failing(ready, name) {
  return ready?.checks?.find((c) => !c.ok && (name === undefined || c.name === name));
}

function checks(ready, overview) {
  const stopping = failing(ready, "running");
  if (stopping) return warn("Stopping", "The receiver is stopping. Kazoo sends again what is refused now.");
  const c = failing(ready);
  if (!c) return null;
  const r = overview.registration;
  const title = `Not ready: ${inline(c.reason)}`;
  if (c.name === "hooks" && !parse(r.ok_at) && !r.runs) return { state: "wait", title, text: "Registering with Kazoo.", todo: "" };
  const since = parse(c.since);
  return bad(title, c.detail === c.reason ? "" : inline(c.detail), since ? `Since ${ago(since)}.` : "");
}

// delivery: Kazoo's attempts fail, and no request came since.
function delivery(o, attempts) {
  const last = attempts?.[0];
  const at = parse(last?.last);
  const delivered = parse(o.last_delivery);
  if (!at || Date.now() - at > recent || (delivered && delivered > at)) return null;
  return bad("Kazoo can't deliver", `${inline(last.why)}.`, "Until then events are recovered from Kazoo's record of failed attempts.");
}

function apiTrouble({ registration: r }) {
  if (!r.error) return null;
  return warn("Connected to Kazoo, but its API has trouble", `${inline(r.error)}. The hooks were last seen in order ${ago(parse(r.ok_at))}.`, "Nothing to do unless it lasts: the receiver keeps trying.");
}

function budget(o, attempts) {
  const worst = Math.max(0, ...Object.values(o.failures_last_minute ?? {}));
  if (worst * 2 < o.failure_limit) return null;
  return warn("Connected to Kazoo, with failures", `${worst} failed attempts within a minute. At ${o.failure_limit} Kazoo switches a hook off; it is then switched on again.`,
    attempts?.length > 0 ? "See below what could not be delivered, and why." : "The reason is shown here once Kazoo has it on its record.");
}

function confirmation(o) {
  const n = o.resync?.awaiting_confirm ?? 0;
  return n > 0 ? warn(`${count(n, "deletion")} held back`, "More objects are missing in Kazoo at once than RESYNC_MAX_DELETIONS allows to report without a confirmation.",
    "Look at them below, and confirm them if they were deleted.") : null;
}

export const late = (c) => c.lag_seconds > 60;

function lagging(consumers) {
  const c = consumers?.find(late);
  return c ? warn(`Connected to Kazoo, but ${c.name} is behind`, `${count(c.lag, "event")} wait for it, the oldest for ${lasting(c.lag_seconds)}. They are kept.`, "The log gives the reason.") : null;
}

function fine(o) {
  const n = o.registration.hooks?.length ?? 0;
  const where = o.registration.account_name ? ` in account ${inline(o.registration.account_name)}` : "";
  if (n === 0) return { state: "idle", title: "Connected to Kazoo, without hooks", text: `No hook is registered${where}.`, todo: "HOOKS says which events Kazoo is to send." };
  const text = `${count(n, "hook")} registered and enabled${where}.`;
  if (!parse(o.last_delivery)) {
    return { state: "idle", title: "Ready for Kazoo's events", text: `${text} Nothing was delivered since the start.`,
      todo: "To try it, change something in Kazoo that a hook watches: save a user, place a call." };
  }
  return { state: "good", title: "Connected to Kazoo", text, todo: "" };
}

export const count = (n, what) => `${n.toLocaleString()} ${what}${n === 1 ? "" : "s"}`;
