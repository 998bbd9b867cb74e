// What an event is about, in a few words.
import { parse } from "./time.js";

// families that have a colour of their own; the others share one.
const coloured = new Set(["user", "device", "channel", "notification", "parking", "sms", "account"]);

export const family = (event) => event.split(".", 1)[0];
export const colour = (name) => (coloured.has(name) ? name : "other");

const sources = {
  webhook: ["delivered", "Kazoo delivered it"],
  recovered: ["recovered", "Kazoo could not deliver it: read back from its record of failed attempts"],
  resync: ["found by resync", "Kazoo told nobody: found by comparing its objects with what we knew"],
};

export const source = (name) => sources[name] ?? [String(name), String(name)];

// row keeps of an event what a line of the list shows, and no more: there may
// be a hundred thousand.
export function row(e) {
  return {
    seq: e.seq,
    event: String(e.event),
    at: parse(e.received_at) ?? new Date(0),
    what: clip(about(e), 160),
    account: String(e.account_id ?? ""),
    object: String(e.object_id ?? ""),
    source: String(e.source),
    problem: clip(String(e.decode_error ?? ""), 160),
  };
}

// about is the object's name or id, or who calls whom.
function about(e) {
  const d = e.data ?? {};
  if (e.action) return e.object_name || text(d.username) || e.object_id || "";
  const call = arrow(party(d, "caller_id") || text(d.from), party(d, "callee_id") || text(d.to));
  switch (family(e.event)) {
    case "channel":
    case "cdr":
      return call;
    case "parking":
      return [call, d.parking_slot && `slot ${text(d.parking_slot)}`].filter(Boolean).join(" · ");
    case "sms":
    case "mms":
      return [arrow(text(d.from), text(d.to)), text(d.body)].filter(Boolean).join(" · ");
    case "notification":
      return notification(d, call);
    case "unknown":
      return e.decode_error || "not understood, kept as it came";
  }
  return text(d.name) || text(d.id) || call;
}

function notification(d, call) {
  const name = [text(d.first_name), text(d.last_name)].filter(Boolean).join(" ");
  const box = text(d.to_user) && `box ${text(d.to_user)}`;
  return name || text(d.account_name) || call || arrow(text(d.from_user), box || "") || text(d.email) || text(d.username) || text(d.user_id);
}

// party prefers a person's name to a number.
function party(d, prefix) {
  const name = text(d[`${prefix}_name`]);
  const number = text(d[`${prefix}_number`]).split("@")[0];
  return name && number && name !== number ? `${name} (${number})` : name || number;
}

function arrow(from, to) {
  if (!from && !to) return "";
  return to ? `${from || "?"} → ${to}` : from;
}

function text(v) {
  return typeof v === "string" || typeof v === "number" ? String(v) : "";
}

function clip(s, most) {
  return s.length > most ? `${s.slice(0, most - 1)}…` : s;
}
