// Names of accounts, as far as the page knows them.
import { inline } from "./text.js";

const accounts = new Map();

export function learn(id, name) {
  if (id && name) accounts.set(id, name);
}

// short is an account for a line of the list: its name, or the start of its id.
export function short(id) {
  return inline(accounts.get(id) ?? (id.length > 12 ? `${id.slice(0, 8)}…` : id));
}

// hook says in words which events a hook of ours sends.
export function hook(h) {
  const data = Object.fromEntries((h.custom_data ?? "").split(",").map((p) => p.split("=")));
  const action = (data.action ?? "").replace("doc_", "").replace("all", "any change");
  if (h.hook === "object") return inline(`${data.type ?? "object"} ${action}`.trim());
  const name = String(h.hook).replaceAll("_", " ");
  return inline(data.type ? `${name}: ${data.type}` : name);
}
