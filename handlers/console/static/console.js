// What pages do beside htmx: copy, relative times, dialogs, focus on what went
// wrong. Everything here improves what works without it.

document.documentElement.dataset.script = "on";

const status = text => {
  const region = document.getElementById("said");
  if (region) region.textContent = text;
};

// alertOf is a paragraph that is read out as it comes.
const alertOf = (kind, text) => {
  const says = document.createElement("p");
  says.className = "error " + kind;
  says.setAttribute("role", "alert");
  says.textContent = text;
  return says;
};

document.addEventListener("click", async event => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    try {
      await navigator.clipboard.writeText(copy.dataset.copy);
    } catch { // there is none without TLS, and people may refuse it
      copy.parentElement.querySelector(":scope > .uncopied")?.remove();
      copy.after(alertOf("uncopied", "The browser did not let this be copied: select it and copy it yourself."));
      return;
    }
    copy.classList.add("copied");
    status("Copied.");
    setTimeout(() => { copy.classList.remove("copied"); status(""); }, 2000);
    return;
  }
  const opener = event.target.closest("[data-dialog]"); // a link to a page that asks the same
  const dialog = opener && document.getElementById(opener.dataset.dialog);
  if (dialog?.showModal) {
    event.preventDefault();
    dialog.showModal();
    return;
  }
  if (event.target.closest("[data-close]")) {
    event.target.closest("dialog")?.close();
    event.preventDefault();
  }
});

// Passkeys: a form that needs one asks the browser for it, and is sent with what
// the authenticator said. Browsers without them never see the form.
const forms = window.PublicKeyCredential?.parseRequestOptionsFromJSON ? document.querySelectorAll("form[data-passkey]") : [];
let secret = ""; // of a one-time link: in no request line, in no page, and in the address and the history no longer than needed
const takeSecret = () => {
  const found = document.querySelector("form[data-secret]") && location.hash.match(/^#(sallyport_[\w-]+)$/);
  if (!found) return;
  secret = found[1];
  history.replaceState(null, "", location.pathname + location.search);
};
// A link that opens nothing says so before anything is filled in.
const checkSecret = async () => {
  takeSecret();
  const form = document.querySelector("form[data-check]");
  if (!form || !secret) return;
  form.parentElement.querySelector(":scope > .over")?.remove();
  const asked = secret;
  const answer = await fetch(form.dataset.check, { method: "POST", body: new URLSearchParams({ secret }) }).catch(() => null);
  if (asked !== secret) return; // another link was opened meanwhile
  const ours = answer?.status === 403 && answer.headers.get("Content-Type")?.startsWith("application/json"); // and no gateway's
  const over = ours ? (await answer.json()).detail : "";
  form.hidden = Boolean(over);
  if (over) form.before(alertOf("over", over));
};
if (forms.length) {
  checkSecret();
  addEventListener("hashchange", checkSecret); // a newer link, opened where an older one was
}
for (const form of forms) {
  form.hidden = false; // unless a link that was opened turns out to be over
  document.querySelector("[data-no-passkeys]")?.remove();
  form.addEventListener("submit", async event => {
    if (form.elements.credential.value) return;
    event.preventDefault();
    try {
      const asked = new URLSearchParams(new FormData(form));
      if ("secret" in form.dataset && !secret) throw new Error("open the link again, as it was printed");
      if ("secret" in form.dataset) asked.set("secret", secret);
      const answer = await fetch(form.dataset.options, { method: "POST", body: asked });
      if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail ?? "the page is too old: load it again");
      const options = await answer.json();
      const made = form.dataset.passkey === "create"
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
      form.elements.credential.value = JSON.stringify(made.toJSON());
      form.requestSubmit();
    } catch (problem) {
      form.querySelector(".says")?.remove();
      form.append(alertOf("says", problem.name === "NotAllowedError" ? "No passkey was used." : "It did not work: " + problem.message));
    }
  });
}

// A form is sent once, however often its button is pressed.
document.addEventListener("submit", event => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const form of forms) form.elements.credential.value = ""; // an answer is good once
});

// What was revealed leaves with who leaves the page, also where a browser keeps pages
// behind others that it was told not to keep.
addEventListener("pagehide", () => {
  for (const shown of document.querySelectorAll("[data-revealed]")) shown.remove();
});

// What was typed into the first step of a wizard is in the address that Back leads
// to: the page itself is not kept.
const longest = 2000;
document.addEventListener("submit", event => {
  if (event.defaultPrevented || !event.target.matches("form[data-keep]")) return;
  const typed = new URLSearchParams([...new FormData(event.target)].filter(([name, value]) => value && name[0] !== "_"));
  if (String(typed).length < longest) history.replaceState(null, "", "?" + typed);
});

// A filter that is not set is not in the address, which people send each other.
document.addEventListener("formdata", event => {
  if (event.target.method !== "get") return;
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
});

// Filters that choose take effect at once, where the form says so.
document.addEventListener("change", event => {
  const form = event.target.closest("form[data-auto]");
  if (form && event.target.matches("select, input[type=checkbox]")) form.requestSubmit();
});

// A histogram is brushed: a press on one bar, let go on another, is the time from
// the one to the other. Each bar by itself is a link.
let pressed = null;
const barAt = event => document.elementFromPoint(event.clientX, event.clientY)?.closest("figure.chart svg a");
const brushed = event => {
  const bars = pressed ? [...pressed.parentNode.querySelectorAll("a")] : [];
  const ends = [bars.indexOf(pressed), bars.indexOf(barAt(event))].sort((a, b) => a - b);
  return ends[0] < 0 ? [] : bars.slice(ends[0], ends[1] + 1);
};
document.addEventListener("dragstart", event => {
  if (event.target.closest("figure.chart")) event.preventDefault();
});
document.addEventListener("pointerdown", event => { pressed = event.button === 0 ? barAt(event) : null; });
document.addEventListener("pointermove", event => {
  if (!pressed) return;
  const now = brushed(event);
  for (const bar of pressed.parentNode.querySelectorAll("a")) bar.classList.toggle("brushed", now.includes(bar));
});
document.addEventListener("pointerup", event => {
  const chosen = brushed(event);
  pressed = null;
  if (chosen.length < 2) return;
  const to = new URL(chosen[0].href.baseVal, location.href);
  to.searchParams.set("until", new URL(chosen.at(-1).href.baseVal, location.href).searchParams.get("until"));
  location.assign(to);
});

// Where one is in a long menu is seen: by the style, and here in browsers that do not know that.
if (!CSS.supports("scroll-initial-target", "nearest")) document.querySelector(".side nav [aria-current]")?.scrollIntoView({ block: "nearest" });

const units = [[60, "second"], [60, "minute"], [24, "hour"], [30, "day"]];
const relative = (then, now) => {
  const ahead = then > now;
  let n = Math.abs(now - then) / 1000;
  if (n < 10) return "just now";
  for (const [most, unit] of units) {
    const whole = ahead ? Math.round(n) : Math.floor(n);
    if (whole < most) {
      const words = whole + " " + unit + (whole === 1 ? "" : "s");
      return ahead ? "in " + words : words + " ago";
    }
    n /= most;
  }
  return ""; // a date, which stays as it is
};
const refresh = () => {
  for (const time of document.querySelectorAll("time[datetime]:not([data-exact])")) {
    const text = relative(Date.parse(time.dateTime), Date.now());
    if (text && text !== time.textContent) time.textContent = text;
  }
};
refresh();
setInterval(refresh, 15000);

// What was refused is read first; in a whole page by autofocus.
document.addEventListener("htmx:after:swap", () => {
  document.querySelector(".lost")?.remove();
  refresh();
  document.getElementById("problem")?.focus();
});

// A part of a page that could not be had stays as it was, and why is said above it:
// what stands there is not the answer. Ours says in a sentence why it refused; what
// else is answered, by a proxy, is none of ours.
const noAnswer = "The server did not answer, so what stands here is from before. Try again.";
const lost = (target, text) => {
  if (!target?.isConnected || document.querySelector(".lost")?.textContent === text) return;
  document.querySelector(".lost")?.remove();
  target.before(alertOf("lost", text));
};
document.addEventListener("htmx:error", event => lost(event.detail.ctx?.target, noAnswer));
document.addEventListener("htmx:before:swap", event => {
  const { target, response, text } = event.detail.ctx;
  if (!(response?.status >= 400) || target === document.body || text.includes(`id="${target.id}"`)) return;
  event.preventDefault();
  const sentence = response.headers.has("X-Request-Id") && response.headers.get("Content-Type")?.startsWith("text/plain");
  lost(target, sentence ? text : noAnswer);
});

// The live tail: paused it takes nothing off the stream, so that nothing is lost;
// how many came is said now and then, not for each.
let resume = null, paused = null, came = 0;
const mostRows = 500;
document.addEventListener("click", event => {
  const button = event.target.closest("[data-pause]");
  if (!button) return;
  if (paused) {
    resume();
    paused = resume = null;
  } else {
    paused = new Promise(done => { resume = done; });
  }
  button.setAttribute("aria-pressed", String(Boolean(paused)));
  status(paused ? "Paused." : "Going on.");
});
document.addEventListener("htmx:sse:before:message", event => {
  if (paused) event.detail.waitUntil(paused);
});
document.addEventListener("htmx:sse:after:message", event => {
  came++;
  const rows = document.getElementById("rows");
  while (rows?.children.length > mostRows) rows.lastElementChild.remove();
});
setInterval(() => {
  if (came) status(came === 1 ? "1 new event." : came + " new events.");
  came = 0;
}, 10000);
// Silence while nothing arrives must not look as if nothing happened.
const connected = is => {
  const says = document.getElementById("tail-says");
  if (!says || ended) return;
  says.dataset.going ??= says.textContent;
  const text = is ? says.dataset.going : "Not connected: trying again. What happens meanwhile appears then.";
  if (says.textContent === text) return;
  says.textContent = text;
  status(text);
};
let ended = false;
document.addEventListener("htmx:sse:error", () => connected(false));
document.addEventListener("htmx:sse:before:connection", event => {
  if (event.detail.connection.attempt > 0) connected(false);
});
document.addEventListener("htmx:sse:after:connection", () => connected(true));
document.addEventListener("ended", event => {
  ended = true;
  const says = document.getElementById("tail-says");
  if (says) says.textContent = event.detail?.data ?? "";
  status(says?.textContent ?? "");
});
