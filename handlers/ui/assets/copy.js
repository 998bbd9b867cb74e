// What can be copied of an event: its JSON, and its request as a command.
import { $, el, setText } from "./dom.js";

// copy puts a text into the clipboard and says so. Without TLS a page can't use
// the clipboard, except on localhost; then it copies a selection.
export async function copy(text, what) {
  const ok = await navigator.clipboard?.writeText(text).then(() => true, () => false) || selected(text);
  setText($("said"), "");
  setText($("said"), ok ? `Copied as ${what}.` : "The browser doesn't allow copying.");
  return ok;
}

function selected(text) {
  const had = document.activeElement;
  const area = el("textarea", { class: "sr", readonly: true, "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  const ok = document.execCommand("copy");
  area.remove();
  had?.focus({ preventScroll: true });
  return ok;
}

// Characters that a terminal or an editor would interpret instead of showing.
const obeyed = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

// json is an event as indented JSON, with those characters escaped.
export function json(event) {
  return JSON.stringify(event, null, 2).replace(obeyed, (c) => (c === "\n" ? c : escaped16(c)));
}

const escaped16 = (c) => [...Array(c.length).keys()].map((i) => `\\u${c.charCodeAt(i).toString(16).padStart(4, "0")}`).join("");

// Headers that belong to the connection, or that a proxy added.
const notSent = /^(host|content-length|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|accept-encoding|via|forwarded|x-forwarded-.*|x-real-ip|cf-.*)$/i;

// curl is the request as a command for a shell (bash, zsh), with secrets masked.
export function curl({ raw, delivery, requests }) {
  const kept = requests.find((r) => !r.duplicate) ?? requests[0];
  let headers = (kept?.headers ?? []).filter((h) => !notSent.test(h.name) && h.value !== "***");
  if (!kept) {
    headers = [["Content-Type", raw.content_type], ["X-Hook-ID", delivery.hook_id], ["X-Account-ID", delivery.hook_account_id]]
      .filter(([, value]) => value).map(([name, value]) => ({ name, value }));
  }
  if (delivery.method !== "GET" && !headers.some((h) => h.name.toLowerCase() === "content-type")) headers.push({ name: "Content-Type", value: "" });
  const words = ["curl", "-sS", "-X", delivery.method];
  headers.forEach((h) => words.push("-H", quoted(h.value ? `${h.name}: ${h.value}` : `${h.name}:`)));
  const address = delivery.url ?? "";
  if (delivery.method === "GET") return [...words, "-g", quoted(raw.body ? `${address}?${raw.body}` : address)].join(" ");
  const base64 = raw.encoding === "base64" ? raw.body : raw.body.includes("\0") ? encoded(raw.body) : null;
  if (base64 !== null) return `printf %s ${quoted(base64)} | base64 -d | ${[...words, "--data-binary", "@-", quoted(address)].join(" ")}`;
  return [...words, "--data-raw", quoted(raw.body), quoted(address)].join(" ");
}

// quoted makes a text one word for the shell.
export function quoted(text) {
  if (text.search(obeyed) < 0) return `'${text.replaceAll("'", `'\\''`)}'`;
  const escapes = text.replace(/[\\']/g, "\\$&").replace(obeyed, (c) => [...new TextEncoder().encode(c)].map((b) => `\\x${b.toString(16).padStart(2, "0")}`).join(""));
  return `$'${escapes}'`;
}

function encoded(text) {
  return btoa([...new TextEncoder().encode(text)].map((b) => String.fromCharCode(b)).join(""));
}
