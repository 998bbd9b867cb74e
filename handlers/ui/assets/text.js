// Text from outside: names, reasons, values of an event.
import { el } from "./dom.js";

// Invisible characters, among them those that change the direction of the text
// after them. Joiners stay: emoji and some scripts need them.
const hidden = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

// visible shows control characters by their pictures (␛) or codes (⟨U+202E⟩),
// except those in keep.
export function visible(value, keep = "") {
  return String(value).replace(hidden, (c) => {
    if (keep.includes(c)) return c;
    const code = c.codePointAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? "␡" : `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

// inline makes a value safe within a sentence or a title: its direction does not
// affect the text beside it.
export function inline(value) {
  const text = visible(value);
  return /^[ -~]*$/.test(text) ? text : `\u2068${text}\u2069`;
}

// data is an element with a value as its text.
export function data(value, keep) {
  return el("bdi", {}, visible(value, keep));
}
