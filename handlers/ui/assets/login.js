// The login form, shown when the receiver asks for its token. The token goes to
// the receiver and into no storage of the browser. Only a cookie is kept, which
// scripts can't read.
import { $, show } from "./dom.js";
import { login, logout, onUnauthorized } from "./api.js";

const mark = "kazoohook.session"; // only remembers that there may be a session to end

// guard calls entered() after a login.
export function guard(entered) {
  const dialog = $("login");
  const refuse = $("login-error");
  onUnauthorized(() => {
    localStorage.removeItem(mark);
    show($("logout"), false);
    show($("app"), false);
    if (!dialog.open) dialog.showModal();
  });
  dialog.addEventListener("cancel", (e) => e.preventDefault()); // nothing can be used without a login
  $("login-form").addEventListener("submit", async (e) => {
    e.preventDefault();
    show(refuse, false);
    try {
      await login($("token").value);
    } catch (failure) {
      refuse.textContent = failure.status === 401 ? "That is not the token." : failure.message;
      show(refuse, true);
      $("token").select();
      return;
    }
    $("token").value = "";
    dialog.close();
    localStorage.setItem(mark, "1");
    show($("logout"), true);
    entered();
  });
  $("logout").addEventListener("click", async () => {
    await logout().catch(() => {});
    localStorage.removeItem(mark);
    location.reload();
  });
  show($("logout"), localStorage.getItem(mark) !== null);
}
