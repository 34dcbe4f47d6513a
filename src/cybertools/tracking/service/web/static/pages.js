/* What is convenient: all pages work without it. */
"use strict";

const page = document.documentElement;

function typing(element) {
  return element.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(element.tagName);
}

async function part(address, selector) {
  const answer = await fetch(address, { credentials: "same-origin" });
  if (answer.redirected && new URL(answer.url).pathname === "/sign-in") {
    location.assign(answer.url);
    return null;
  }
  const found = new DOMParser().parseFromString(await answer.text(), "text/html");
  return found.querySelector(selector);
}

function addressOf(form) {
  const values = [...new FormData(form)].filter(([, value]) => value !== "");
  return `${form.action.split("?")[0]}?${new URLSearchParams(values)}`;
}

/* The last of what was asked counts, whatever is answered last. */
function asker(work) {
  let timer = 0;
  let turn = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const mine = ++turn;
      await work(() => mine === turn, ...args);
    }, 160);
  };
}

/* Finding from everywhere */

const search = document.querySelector("[data-find]");
if (search) {
  const input = search.querySelector("input");
  const box = search.querySelector(".found");
  const hide = () => { box.hidden = true; };
  const look = asker(async (isLast) => {
    if (!input.value.trim()) return hide();
    const results = await part(addressOf(search), "#results");
    if (!results || !isLast()) return;
    box.replaceChildren(...results.childNodes);
    box.hidden = false;
  });
  input.addEventListener("input", () => look());
  search.addEventListener("keydown", (event) => {
    const links = [...box.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "Escape") {
      hide();
      input.focus();
    } else if (event.key === "ArrowDown" && links.length) {
      links[Math.min(at + 1, links.length - 1)].focus();
      event.preventDefault();
    } else if (event.key === "ArrowUp" && at >= 0) {
      (at ? links[at - 1] : input).focus();
      event.preventDefault();
    }
  });
  document.addEventListener("click", (event) => {
    if (!search.contains(event.target)) hide();
  });
  search.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !search.contains(event.relatedTarget)) hide();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing(event.target)) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
}

/* Lists that follow what is typed */

for (const form of document.querySelectorAll("[data-live]")) {
  const selector = form.dataset.live;
  const follow = asker(async (isLast) => {
    const address = addressOf(form);
    const results = await part(address, selector);
    if (!results || !isLast()) return;
    document.querySelector(selector).replaceWith(results);
    history.replaceState(null, "", address);
  });
  form.addEventListener("input", () => follow());
}

/* One menu at a time: arrows, Home and End go through it; Escape and leaving it close it */

for (const menu of document.querySelectorAll("details.menu")) {
  const summary = menu.querySelector("summary");
  const isList = Boolean(menu.querySelector("summary + ul"));
  const entries = [...menu.querySelectorAll(isList ? "li a, li button" : "input:not([type=hidden]), button")];
  const last = entries.length - 1;
  const places = {
    ArrowDown: (at) => (at === last ? 0 : at + 1),
    ArrowUp: (at) => (at <= 0 ? last : at - 1),
    Home: () => 0,
    End: () => last,
  };
  menu.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const isAtHead = document.activeElement === summary;
    if (event.key === "Escape" && menu.open) {
      menu.open = false;
      summary.focus();
    } else if (event.key in places && (isAtHead ? menu.open || event.key.startsWith("Arrow") : isList)) {
      menu.open = true;
      entries[places[event.key](entries.indexOf(document.activeElement))].focus();
      event.preventDefault();
    }
  });
  const leave = (target) => {
    if (target && !menu.contains(target)) menu.open = false;
  };
  menu.addEventListener("focusout", (event) => leave(event.relatedTarget));
  document.addEventListener("click", (event) => leave(event.target));
}

/* Time zones to choose from, and the browser's own where none was chosen */

const zones = document.getElementById("zones");
if (zones && Intl.supportedValuesOf) {
  zones.closest("details").addEventListener("toggle", () => {
    zones.replaceChildren(...["UTC", ...Intl.supportedValuesOf("timeZone")].map((name) => new Option(name, name)));
  }, { once: true });
}
if (!/(^|; )tracks-zone=/.test(document.cookie)) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `tracks-zone=${encodeURIComponent(zone)}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  }
}

/* Copying, asking before what cannot be taken back */

for (const block of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  const button = document.createElement("button");
  const text = block.textContent;
  button.type = "button";
  button.className = "copy";
  button.textContent = page.lang === "de" ? "Kopieren" : "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "✓";
  });
  block.prepend(button);
}
for (const form of document.querySelectorAll("[data-confirm]")) {
  form.addEventListener("submit", (event) => {
    if (!confirm(form.dataset.confirm)) event.preventDefault();
  });
}

/* What happens now */

const live = document.getElementById("live");
if (live) {
  const MOST = 50;
  const body = live.tBodies[0];
  const pulse = document.getElementById("pulse");
  const base = live.dataset.base.split("?")[0];
  const clock = new Intl.DateTimeFormat(live.dataset.locale, {
    dateStyle: "medium", timeStyle: "medium", timeZone: page.dataset.zone,
  });
  const cell = (row, address, text) => {
    const link = document.createElement("a");
    link.href = address;
    link.textContent = text;
    const made = row.insertCell();
    made.append(link);
    return made;
  };
  const query = (name, value) => `${base}${name === "taskId" ? "task" : "user"}?${new URLSearchParams({ [name]: value })}`;
  const events = new EventSource(live.dataset.stream);
  events.onopen = () => { pulse.hidden = false; };
  events.onerror = () => { pulse.hidden = true; };
  events.addEventListener("track", (event) => {
    const track = JSON.parse(event.data);
    const row = body.insertRow(0);
    row.className = "arrived";
    cell(row, `${base}tracks/${track.id}`, clock.format(track.timeStamp * 1000)).className = "time";
    const user = cell(row, query("userName", track.userName), track.userName);
    user.className = "user";
    user.firstChild.title = track.userName;
    cell(row, query("taskId", track.taskId), track.taskId);
    cell(row, `${base}runs/${track.runId}`, track.runId).className = "number";
    const data = document.createElement("code");
    data.className = "data";
    data.textContent = JSON.stringify(track.data);
    row.insertCell().append(data);
    while (body.rows.length > MOST) body.deleteRow(-1);
    refresh();
  });

  /* Who is in what: soon after something has come, and now and then. */
  const present = document.getElementById("present");
  let busy = false;
  async function renew() {
    if (busy || document.hidden || present.contains(document.activeElement)) return;
    busy = true;
    try {
      const found = await part(location.href, "#present");
      if (found) present.replaceChildren(...found.childNodes);
    } catch {
      /* The service is away for a while; the next time will do. */
    } finally {
      busy = false;
    }
  }
  let soon = 0;
  function refresh() {
    if (!soon) soon = setTimeout(() => { soon = 0; renew(); }, 2000);
  }
  setInterval(renew, Number(present.dataset.refresh) * 1000);
}
