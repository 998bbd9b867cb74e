// Times in the viewer's zone; UTC for the title.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const shortClock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

export function parse(text) {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) ? null : new Date(ms);
}

export const hm = (date) => shortClock.format(date);
export const full = (date) => whole.format(date);

// stamp is the time, with the day unless it is today.
export function stamp(date, now = new Date()) {
  const time = clock.format(date);
  return date.toDateString() === now.toDateString() ? time : `${day.format(date)} ${time}`;
}

export function utc(date) {
  return date.toISOString().replace("T", " ").replace("Z", " UTC");
}

// ago says how long ago a date was, roughly.
export function ago(date, now = new Date()) {
  const seconds = Math.max(0, (now - date) / 1000);
  return seconds < 2 ? "just now" : `${lasting(seconds)} ago`;
}

export function lasting(seconds) {
  if (seconds < 1) return "less than a second";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  const minutes = Math.floor((seconds % 3600) / 60);
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h${minutes > 0 ? ` ${minutes} min` : ""}`;
  const days = Math.floor(seconds / 86400);
  return days === 1 ? "1 day" : `${days.toLocaleString()} days`;
}

const units = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };

// moment parses what a person writes: how long ago (90m, 2h, 1d12h), a time of today
// or else of yesterday (14:30), a day or a time (2026-01-31, 2026-01-31 14:30) in the
// viewer's zone, or a time with its zone. Anything else is null.
export function moment(text, now = new Date()) {
  const t = text.trim().toLowerCase().replace(/\s*ago$/, "");
  if (/^(\d+(\.\d+)?\s*[smhdw]\s*)+$/.test(t)) {
    const seconds = [...t.matchAll(/(\d+(?:\.\d+)?)\s*([smhdw])/g)].reduce((sum, [, n, u]) => sum + n * units[u], 0);
    return valid(new Date(now.getTime() - seconds * 1000));
  }
  const hour = t.match(/^(\d{1,2}):(\d{2})(?::(\d{2}))?$/);
  if (hour) {
    if (hour[1] > 23 || hour[2] > 59 || hour[3] > 59) return null;
    const at = new Date(now);
    at.setHours(hour[1], hour[2], hour[3] ?? 0, 0);
    if (at > now) at.setDate(at.getDate() - 1);
    return at;
  }
  const local = t.match(/^(\d{4})-(\d{2})-(\d{2})(?:[t ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?$/);
  if (local) {
    const [y, month, d, h = 0, min = 0, s = 0] = local.slice(1).map((n) => n && Number(n));
    const at = new Date(y, month - 1, d, h, min, s);
    return at.getMonth() === month - 1 && at.getDate() === d && h < 24 && min < 60 && s < 60 ? at : null;
  }
  return /^\d{4}-\d{2}-\d{2}t.*(z|[+-]\d{2}:\d{2})$/.test(t) ? valid(new Date(t.toUpperCase())) : null;
}

const valid = (date) => (Number.isNaN(date.getTime()) ? null : date);
