// The live stream. After a lost connection it continues where it was.
import { url } from "./api.js";

const shortest = 500; // ms before the first try to come back
const longest = 10000;

export class Stream {
  // on.event(event), on.gap() when events are missing, on.state("live"|"lost"|"off")
  constructor(on) {
    this.on = on;
    this.source = null;
    this.timer = 0;
    this.pause = shortest;
  }

  // open follows the events after a seq that match the filter.
  open(after, filter) {
    this.close();
    this.last = after;
    this.filter = filter;
    this.connect();
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    this.filter = null;
    this.on.state("off");
  }

  // resume connects now instead of waiting for the next try.
  resume() {
    if (this.filter && !this.source) {
      this.pause = shortest;
      this.connect();
    }
  }

  // rest closes the connection, because a browser has few, until resume.
  rest() {
    if (!this.filter) return;
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  connect() {
    clearTimeout(this.timer);
    const query = new URLSearchParams({ ...this.filter, after: this.last });
    const source = new EventSource(url(`/api/events/stream?${query}`));
    this.source = source;
    source.onopen = () => {
      this.pause = shortest;
      this.on.state("live");
    };
    source.onmessage = (m) => {
      const seq = Number(m.lastEventId);
      if (seq <= this.last) return;
      this.last = seq;
      this.on.event(JSON.parse(m.data));
    };
    source.addEventListener("position", (m) => this.position(m));
    source.addEventListener("gap", (m) => {
      this.position(m);
      this.on.gap();
    });
    // The browser's own reconnecting gives up at any answer but 200.
    source.onerror = () => {
      if (this.source !== source) return;
      source.close();
      this.source = null;
      this.on.state("lost");
      this.timer = setTimeout(() => this.connect(), this.pause);
      this.pause = Math.min(this.pause * 2, longest);
    };
  }

  position(m) {
    if (m.lastEventId) this.last = Number(m.lastEventId);
  }
}
