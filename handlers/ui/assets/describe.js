// What an event is about, in a few words.
import { inline } from "./text.js";
import { lasting, parse } from "./time.js";

// slots are the colours of families (colours.css). Each family has its own, so that
// none is mistaken for another in the chart or the list.
const slots = new Map(Object.entries({
  user: 6, channel: 9, notification: 2, device: 10, sms: 0, parking: 8, account: 4, callflow: 1, vmbox: 5, media: 11, mailbox_message: 7, fax: 3,
  faxbox: 14, call_recording: 13, cdr: 20, stream: 18, mms: 12, kazoohook: 22,
}));
const slotCount = 24;

export const family = (event) => event.split(".", 1)[0];

// colour is the slot of a family. A family of another application gets a free slot,
// chosen by its name, so that it is usually the same each time.
export function colour(name) {
  if (name === "unknown" || name === "other" || name === "others") return name === "unknown" ? "unknown" : "other";
  if (!slots.has(name)) {
    const taken = new Set(slots.values());
    let slot = [...name].reduce((h, c) => (h * 31 + c.codePointAt(0)) % 997, 7) % slotCount;
    for (let n = 0; n < slotCount && taken.has(slot); n++) slot = (slot + 1) % slotCount;
    slots.set(name, slot);
  }
  return String(slots.get(name));
}

const sources = {
  webhook: ["delivered", "Kazoo delivered it"],
  recovered: ["recovered", "Kazoo could not deliver it: read back from its record of failed attempts"],
  receiver: ["receiver", "The receiver reports this of itself; Kazoo sent nothing"],
  resync: ["by resync", "No webhook reported it: found by comparing Kazoo's objects with the snapshot"],
};

export const source = (name) => sources[name] ?? [String(name), String(name)];

// row keeps only what a line of the list shows of an event, because there may be
// a hundred thousand.
export function row(e) {
  return {
    seq: e.seq,
    event: String(e.event),
    at: parse(e.received_at) ?? new Date(0),
    what: clip(about(e), 160),
    account: String(e.account_id ?? ""),
    object: String(e.object_id ?? ""),
    source: String(e.source),
    problem: clip(inline(e.decode_error ?? ""), 160),
  };
}

// about is the object's name or id, or who calls whom.
function about(e) {
  const d = e.data ?? {};
  if (e.action) return inline(e.object_name || d.username || e.object_id || "");
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
    case "kazoohook":
      return own(d);
    case "unknown":
      return e.decode_error ? inline(e.decode_error) : "not understood, kept as it came";
  }
  return text(d.name) || text(d.id) || call;
}

// own describes an event of the receiver itself.
function own(d) {
  const missing = d.missing !== undefined && `${text(d.missing)} missing of ${text(d.object_type)}`;
  const lasted = d.at_most_seconds !== undefined && `at most ${lasting(Number(d.at_most_seconds))}`;
  return [d.destination, d.of_event, d.hook_name, d.reason ?? d.disable_reason].map(text).concat(missing, lasted).filter(Boolean).join(" · ");
}

function notification(d, call) {
  const name = [text(d.first_name), text(d.last_name)].filter(Boolean).join(" ");
  const box = text(d.to_user) && `box ${text(d.to_user)}`;
  return name || text(d.account_name) || call || arrow(text(d.from_user), box || "") || text(d.email) || text(d.username) || text(d.user_id);
}

// party prefers a person's name to a number.
function party(d, prefix) {
  const name = text(d[`${prefix}_name`]);
  const number = text(String(d[`${prefix}_number`] ?? "").split("@")[0]);
  return name && number && name !== number ? `${name} (${number})` : name || number;
}

function arrow(from, to) {
  if (!from && !to) return "";
  return to ? `${from || "?"} → ${to}` : from;
}

function text(v) {
  return typeof v === "string" || typeof v === "number" ? inline(v) : "";
}

function clip(s, most) {
  return s.length > most ? `${s.slice(0, most - 1)}…` : s;
}
