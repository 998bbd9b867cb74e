// The receiver's API. Every failure is an ApiError with a sentence for people.

export class ApiError extends Error {
  constructor(status, message, type = "") {
    super(message);
    this.status = status; // 0: no answer at all
    this.noLeader = type === "urn:kazoohook:no-leader"; // the cluster has none for now
  }
}

const onLogin = new Set();

// url is the address of a path of the API. The page may be below a path of a
// proxy; the address of this file has that path.
export const url = (path) => new URL(`../..${path}`, import.meta.url);

// onUnauthorized calls f whenever an answer requires a login.
export function onUnauthorized(f) {
  onLogin.add(f);
}

export async function get(path, params, signal) {
  const query = new URLSearchParams(params ?? {}).toString();
  return call(query ? `${path}?${query}` : path, { signal });
}

export async function post(path, body) {
  return call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

export async function login(token) {
  return call("/api/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  });
}

export async function logout() {
  return call("/api/session", { method: "DELETE" });
}

// run posts a request that takes a while. It calls progress(p) until the result comes.
export async function run(path, body, progress) {
  const answer = await send(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!answer.ok) return outcome(path, answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", result = null;
  for (;;) {
    const { done, value } = await reader.read().catch(() => ({ done: true }));
    const lines = (rest + (value ?? "")).split("\n");
    rest = lines.pop();
    for (const line of lines.filter(Boolean).map((l) => JSON.parse(l))) {
      if (line.error) throw new ApiError(answer.status, line.error);
      if (line.progress) progress(line.progress);
      result = line.result ?? result;
    }
    if (done && !result) throw new ApiError(0, "The receiver stopped answering. Look again what is held back.");
    if (done) return result;
  }
}

async function call(path, options) {
  return outcome(path, await send(path, options));
}

async function send(path, options) {
  try {
    return await fetch(url(path), { credentials: "same-origin", cache: "no-store", ...options });
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new ApiError(0, "The receiver doesn't answer. Is it running?");
  }
}

async function outcome(path, answer) {
  const isJSON = (answer.headers.get("Content-Type") ?? "").includes("json");
  const body = isJSON ? await answer.json().catch(() => null) : null;
  if (answer.ok) return body;
  if (answer.status === 401 && path !== "/api/session") onLogin.forEach((f) => f());
  throw new ApiError(answer.status, body?.detail || body?.title || `The receiver answered ${answer.status}.`, body?.type);
}
