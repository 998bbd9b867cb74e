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

// stamp is the time, with the day unless that is today.
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
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  const days = Math.floor(seconds / 86400);
  return days === 1 ? "1 day" : `${days} days`;
}

// localInput is a date as an <input type=datetime-local> has it.
export function localInput(date) {
  const shifted = new Date(date.getTime() - date.getTimezoneOffset() * 60000);
  return shifted.toISOString().slice(0, 16);
}
