// The receiver's API. Every failure is an ApiError with a sentence for people.

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status; // 0: no answer at all
  }
}

const hearers = new Set();

// onUnauthorized calls f whenever an answer says that a login is needed.
export function onUnauthorized(f) {
  hearers.add(f);
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

async function call(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new ApiError(0, "The receiver doesn't answer. Is it running?");
  }
  const isJSON = (answer.headers.get("Content-Type") ?? "").includes("json");
  const body = isJSON ? await answer.json().catch(() => null) : null;
  if (answer.ok) return body;
  if (answer.status === 401 && path !== "/api/session") hearers.forEach((f) => f());
  throw new ApiError(answer.status, body?.detail || body?.title || `The receiver answered ${answer.status}.`);
}
