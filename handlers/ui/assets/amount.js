// Sizes in bytes, for people.
const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

export function amount(bytes) {
  let n = bytes, unit = 0;
  while (n >= 1023.95 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${unit > 0 && n < 99.95 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}
