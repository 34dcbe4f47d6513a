/* Views, clicks and visible time of a page, as tracks. It keeps no cookie, and does nothing where
   the visitor has asked not to be tracked (Do Not Track, Global Privacy Control).

   <script defer src="https://tracks.example.org/track.js" data-key="trkw_…"></script>

   data-key      a public write key for the page's origin
   data-storage  the storage, where the key is for several
   data-user     the user's name; without it each session is a visitor of its own
*/
(() => {
  const script = document.currentScript;
  const { key, storage, user } = script.dataset;
  const asked = [navigator.doNotTrack, window.doNotTrack, navigator.globalPrivacyControl];
  if (!key || asked.some((value) => value === "1" || value === true)) return;

  const url = new URL("b", script.src);
  url.searchParams.set("key", key);
  if (storage) url.searchParams.set("storage", storage);

  const random = () =>
    Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("");

  let session = random();
  try {
    session = sessionStorage.getItem("tracks") || session;
    sessionStorage.setItem("tracks", session);
  } catch {
    // A page without storage is a session of its own.
  }

  let path;
  let since = 0; // when the page was last shown, 0 while it is hidden

  const send = (data) => {
    const userName = user || "visitor-" + session;
    const body = JSON.stringify({ taskId: path, runId: session, userName, key: random(), data });
    if (!navigator.sendBeacon?.(url, body))
      fetch(url, { method: "POST", body, keepalive: true, credentials: "omit" }).catch(() => {});
  };

  const show = () => {
    if (document.visibilityState === "visible" && !since) since = performance.now();
  };

  const leave = () => {
    const seconds = since ? Math.round((performance.now() - since) / 100) / 10 : 0;
    since = 0;
    if (seconds) send({ type: "time", seconds });
  };

  const view = (referrer) => {
    leave();
    path = location.pathname;
    show();
    send({ type: "view", referrer });
  };

  const move = () => {
    if (location.pathname !== path) view();
  };

  const click = (event) => {
    const element = event.target.closest?.("[data-track]");
    if (!element) return;
    const data = {};
    for (const [name, value] of Object.entries(element.dataset))
      if (/^track[A-Z]/.test(name)) data[name[5].toLowerCase() + name.slice(6)] = value;
    send({ ...data, type: "click", name: element.dataset.track });
  };

  const start = () => {
    const from = document.referrer && new URL(document.referrer).host;
    view(from && from !== location.host ? from : undefined);
    for (const name of ["pushState", "replaceState"]) {
      const original = history[name];
      history[name] = function (...given) {
        original.apply(this, given);
        move();
      };
    }
    addEventListener("popstate", move);
    addEventListener("click", click, true);
    addEventListener("auxclick", click, true);
    addEventListener("pagehide", leave);
    addEventListener("pageshow", (event) => event.persisted && view());
    document.addEventListener("visibilitychange", () => (document.hidden ? leave() : show()));
  };

  if (document.prerendering) document.addEventListener("prerenderingchange", start, { once: true });
  else start();
})();
