// Are we hearing Kazoo? One answer out of everything that the receiver says.
import { ago, lasting, parse } from "./time.js";
import { hook } from "./names.js";

const silent = 10 * 60 * 1000; // failed attempts younger than this mean something

// verdict is {state: good|idle|warn|bad|wait, title, text, todo}. What is worst
// comes first: only one thing is said.
export function verdict({ overview, ready, consumers, attempts, error }) {
  if (error && error.status === 0) {
    return bad("No answer from the receiver", "This page can't reach it and tries again by itself.", "Look whether kazoohook runs, and at the end of its log.");
  }
  if (error) return bad("The receiver can't say", error.message, "Its log says why.");
  if (!overview) return { state: "wait", title: "Asking the receiver", text: "One moment.", todo: "" };
  return journal(ready) ?? stopping(ready) ?? registration(overview) ?? delivery(overview, attempts) ?? budget(overview) ?? heldBack(overview) ?? lagging(consumers) ?? fine(overview);
}

const bad = (title, text, todo = "") => ({ state: "bad", title, text, todo });
const warn = (title, text, todo = "") => ({ state: "warn", title, text, todo });

function failed(ready, name) {
  return ready?.checks?.find((c) => c.name === name && !c.ok);
}

function journal(ready) {
  const check = failed(ready, "journal");
  return check && bad("Trouble: events can't be kept", `${check.detail}. Kazoo is asked to send again, so nothing is lost yet.`,
    "Make room on the disk of DATA_DIR, or make it writable. No restart is needed.");
}

function stopping(ready) {
  return failed(ready, "running") && warn("Stopping", "The receiver was told to stop. Kazoo sends again what it refuses now.");
}

function registration({ registration: r }) {
  const hooks = r.hooks ?? [];
  if (r.error && !parse(r.ok_at)) {
    return bad("Trouble: not registered with Kazoo", r.error, "Check KAZOO_API_URL and the login; kazoohook doctor looks at each step.");
  }
  const off = hooks.filter((h) => h.id && !h.enabled);
  if (off.length > 0) {
    const why = off[0].disable_reason ? ` It says: ${off[0].disable_reason}.` : "";
    return bad(`Trouble: Kazoo switched ${count(off.length, "hook")} off`, `${off.map(hook).join(", ")}.${why}`,
      "It is switched on again at the next look, and what was missed is recovered. If this repeats, see the failed attempts below.");
  }
  const missing = hooks.filter((h) => !h.id);
  if (missing.length > 0) {
    const why = r.error || "They are registered at the next look.";
    return bad(`Trouble: ${count(missing.length, "hook")} of ${hooks.length} not registered`, `${missing.map(hook).join(", ")}. ${why}`,
      r.error ? "kazoohook doctor looks at each step." : "");
  }
  if (r.problems?.length > 0) return bad("Trouble: HOOKS asks for what this Kazoo doesn't offer", r.problems.join(" "), "Correct HOOKS and restart.");
  if (!parse(r.ok_at)) return { state: "wait", title: "Registering with Kazoo", text: "The hooks are being compared.", todo: "" };
  if (r.error) return warn("Hearing, but Kazoo's API has trouble", `${r.error} Last seen right ${ago(parse(r.ok_at))}.`, "Nothing to do unless it lasts: the receiver keeps trying.");
  return null;
}

// delivery: Kazoo tries and fails, and nothing came since.
function delivery(o, attempts) {
  const last = attempts?.[0];
  const at = parse(last?.last);
  const heard = parse(o.last_delivery);
  if (!at || Date.now() - at > silent || (heard && heard > at)) return null;
  return bad("Trouble: Kazoo can't deliver", `${last.why}.`, "Until then events are recovered from Kazoo's record of failed attempts.");
}

function budget(o) {
  const worst = Math.max(0, ...Object.values(o.failures_last_minute ?? {}));
  if (worst * 2 < o.failure_limit) return null;
  return warn("Hearing Kazoo, with failures", `${worst} failed attempts within a minute. At ${o.failure_limit} Kazoo switches a hook off; it is then switched on again.`,
    "See the failed attempts below for the reason.");
}

function heldBack(o) {
  const n = o.resync?.awaiting_confirm ?? 0;
  return n > 0 ? warn(`${count(n, "deletion")} held back`, "More objects vanished from Kazoo at once than RESYNC_MAX_DELETIONS allows to report unseen.",
    "Look with kazoohook resync --dry-run, then report them with --confirm.") : null;
}

function lagging(consumers) {
  const late = consumers?.find((c) => c.lag_seconds > 60);
  return late ? warn(`Hearing Kazoo, but ${late.name} is behind`, `${count(late.lag, "event")} wait for it, the oldest for ${lasting(late.lag_seconds)}. They are kept.`, "The log says what holds it up.") : null;
}

function fine(o) {
  const n = o.registration.hooks.length;
  const where = o.registration.account_name ? ` in account ${o.registration.account_name}` : "";
  if (!parse(o.last_delivery)) {
    return { state: "idle", title: "Ready to hear Kazoo", text: `${count(n, "hook")} registered and on${where}. Nothing was delivered since the start.`,
      todo: "To try it, change something in Kazoo that a hook hears: save a user, place a call." };
  }
  return { state: "good", title: "Hearing Kazoo", text: `${count(n, "hook")} registered and on${where}.`, todo: "" };
}

export const count = (n, what) => `${n.toLocaleString()} ${what}${n === 1 ? "" : "s"}`;
