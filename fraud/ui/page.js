// What the page does in the browser beside Gradio: it remembers, says when the server cannot be reached, and
// makes Gradio's tabs and drop-downs usable from the keyboard. It asks nobody but the page's own server.
(() => {
  "use strict";
  const LANGUAGE = "fraud_language", TYPED = "fraud_typed", FLAG = "fraud_flag";
  const config = () => window.gradio_config ?? {};

  // Storage may be refused (a private window, a frame of another site); the page works without it.
  const read = (storage, key) => { try { return window[storage].getItem(key); } catch { return null; } };
  const write = (storage, key, value) => {
    try { value === null ? window[storage].removeItem(key) : window[storage].setItem(key, value); } catch { /* as above */ }
  };
  const parsed = (text) => { try { return JSON.parse(text); } catch { return null; } };

  // Kept when it is chosen, before the server has said it all again: a reload in between must not forget it.
  const keepLanguage = (language) => {
    write("localStorage", LANGUAGE, language);
    const across = location.protocol === "https:" ? "SameSite=None; Secure; Partitioned" : "SameSite=Lax";
    document.cookie = `${LANGUAGE}=${language}; path=/; max-age=31536000; ${across}`;
  };
  const speak = (language) => {
    document.documentElement.lang = language;
    requestAnimationFrame(() => { document.title = document.querySelector("h1")?.innerText ?? document.title; });
  };

  const recall = () => ({
    chosen: read("localStorage", LANGUAGE),
    shown: config().page_language ?? null,
    tab: new URLSearchParams(location.search).get("tab"),
    typed: parsed(read("sessionStorage", TYPED)),
    flag: parsed(read("sessionStorage", FLAG)),
  });
  const point = (heading) => {
    if (!heading) return;
    const pointed = [...document.querySelectorAll(heading.dataset.points)];
    pointed.forEach((one) => one.classList.add("pointed"));
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    pointed[0]?.scrollIntoView({block: innerWidth < 700 ? "start" : "center", behavior: calm ? "auto" : "smooth"});
    heading.focus({preventScroll: true});
  };

  window.fraudPage = {
    keepLanguage,
    speak,
    recall,
    // The tour: outlines what a step tells of, and brings it into sight; 0 ends it.
    tour: (step) => {
      document.querySelectorAll(".pointed").forEach((one) => one.classList.remove("pointed"));
      if (step === 0) document.getElementById("tour-start")?.focus();
      else setTimeout(() => point(document.querySelector(`#tour-${step} h2`)), 60);  // Gradio shows it first
    },
    resume: (button) => {
      const {chosen, shown, tab, typed} = recall();
      if (typed || tab || (chosen && chosen !== shown)) document.getElementById(button)?.click();
    },
    keepTyped: (columns, values) => {
      const named = Object.fromEntries(columns.map((column, i) => [column, values[i] ?? null]));
      write("sessionStorage", TYPED, JSON.stringify(named));
      write("sessionStorage", FLAG, null);
    },
    keepFlag: (part, value) => {
      write("sessionStorage", FLAG, JSON.stringify({...parsed(read("sessionStorage", FLAG)), [part]: value}));
    },
  };
  // What becomes of each question to the server is watched here, because Gradio says it in passing, in English,
  // or not at all. A question is pending from its entry into the queue to its answer in the event stream.
  const QUEUED_MS = 8_000, WAITING_MS = 700;
  const pending = new Map();  // event id -> the timer that says that it still waits for its turn
  let noticed = "", joining = 0;

  const words = (name) => config().page_words?.[document.documentElement.lang]?.[name] ?? "";
  const box = (id, role) => {
    let one = document.getElementById(id);
    if (!one) {
      one = document.createElement("div");
      one.id = id;
      one.setAttribute("role", role);
      document.body.append(one);
    }
    return one;
  };
  const notice = (name) => {
    noticed = name;
    const one = box("notice", "alert");
    one.className = name ? `shown ${name}` : "";
    one.replaceChildren();
    if (!name) return;
    const said = document.createElement("p"), close = document.createElement("button");
    said.textContent = words(name);
    close.type = "button";
    close.textContent = "\u00d7";
    close.setAttribute("aria-label", words("close"));
    close.onclick = () => notice("");
    one.append(said, close);
  };
  const showWaiting = () => {
    const waits = pending.size > 0;
    document.documentElement.classList.toggle("waiting", waits);
    box("waiting", "status").textContent = waits ? words("waiting") : "";
  };
  // An answer on its way replaces the prediction: until it is there, nobody can flag the one it replaces.
  const settle = () => document.documentElement.classList.toggle("asking", joining + pending.size > 0);
  const begin = (id) => {
    pending.set(id, setTimeout(() => { if (pending.has(id)) notice("queued"); }, QUEUED_MS));
    setTimeout(() => { if (pending.has(id)) showWaiting(); }, WAITING_MS);
  };
  const started = (id) => clearTimeout(pending.get(id));
  const end = (id) => {
    started(id);
    pending.delete(id);
    settle();
    if (pending.size === 0) showWaiting();
  };
  const lose = () => {
    [...pending.keys()].forEach(end);
    notice("lost");
  };
  const heed = (line) => {
    const message = line.startsWith("data:") ? parsed(line.slice(5)) : null;
    if (!message) return;
    if (message.msg === "process_starts") started(message.event_id);
    if (message.msg === "process_completed") {
      end(message.event_id);
      if (message.success === false && !message.output?.error) notice("failed");
      else if (noticed) notice("");
    }
    if (message.msg === "unexpected_error" || message.msg === "server_stopped") {
      [...pending.keys()].forEach(end);
      notice("failed");
    }
  };
  const listen = async (stream) => {
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    try {
      for (;;) {
        const {done, value} = await reader.read();
        if (done) break;
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        lines.forEach(heed);
      }
    } catch (error) {
      if (error.name !== "AbortError" && pending.size) lose();
    }
  };
  const ask = window.fetch.bind(window);
  window.fetch = async (resource, options) => {
    const url = String(resource?.url ?? resource);
    const joins = url.includes("/queue/join"), streams = url.includes("/queue/data");
    if (!joins && !streams) return ask(resource, options);
    let answer;
    joining += joins;
    settle();
    try {
      answer = await ask(resource, options);
      if (joins && answer.ok) {
        const {event_id} = await answer.clone().json().catch(() => ({}));
        if (event_id) begin(event_id);
      }
    } catch (error) {
      if (error.name !== "AbortError") lose();
      throw error;
    } finally {
      joining -= joins;
      settle();
    }
    if (!answer.ok) notice(answer.status === 503 ? "full" : "failed");
    if (streams && answer.ok && answer.body) listen(answer.clone().body);
    return answer;
  };
  // Gradio says in English, in passing, what it refuses in the browser: a file of another kind or size.
  const refused = (said) => /invalid file type/i.test(said) ? "kind" : /size/i.test(said) ? "size"
    : !navigator.onLine || /fetch|network|connection/i.test(said) ? "lost" : "failed";
  const translateToasts = () => document.querySelectorAll(".toast-body:is(.error, .warning)").forEach((one) => {
    const said = one.textContent;
    if (one.dataset.heeded === said) return;
    one.dataset.heeded = said;
    const name = refused(said);
    if (!noticed || name === "kind" || name === "size") notice(name);
  });
  addEventListener("offline", () => notice("lost"));
  addEventListener("online", () => { if (noticed === "lost") notice("back"); });

  document.documentElement.lang = config().page_language ?? "en";
  box("notice", "alert");  // there before their first word, or screen readers do not announce it
  box("waiting", "status");
  box("said", "status");

  // A dropdown's text is selected when it gets the focus, so that typing replaces it and finds.
  addEventListener("focusin", ({target}) => {
    if (target.matches?.(".field .wrap-inner input")) requestAnimationFrame(() => target.select());
  });

  // A, R and U decide the case on the screen, unless somebody types or selects.
  addEventListener("keydown", (event) => {
    const finding = {a: "accept", r: "reject", u: "unsure"}[event.key.toLowerCase()];
    if (!finding || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    const button = document.getElementById(`review-${finding}`);
    if (button?.offsetParent) button.click();
  });

  // Arrow keys, Home and End move along the tabs, as screen readers announce that they do.
  addEventListener("keydown", (event) => {
    const tab = event.target.closest?.('[role="tablist"] [role="tab"]');
    if (!tab || event.ctrlKey || event.metaKey || event.altKey) return;
    const tabs = [...tab.closest('[role="tablist"]').querySelectorAll('[role="tab"]:not(:disabled)')];
    const place = tabs.indexOf(tab), last = tabs.length - 1;
    const next = {ArrowRight: place === last ? 0 : place + 1, ArrowLeft: place === 0 ? last : place - 1, Home: 0, End: last}[event.key];
    if (next === undefined) return;
    event.preventDefault();
    tabs[next].focus();
    tabs[next].click();
  });
  addEventListener("keydown", ({key}) => {
    if (key === "Escape") document.querySelector("#tour .tour-close:not(:disabled)")?.click();
  });
  addEventListener("click", ({target}) => {
    const step = target.closest?.('#tour-steps [role="tab"]');
    if (step) window.fraudPage.tour([...document.querySelectorAll('#tour-steps [role="tab"]')].indexOf(step) + 1);
  });
  // A new answer is announced: its verdict and both probabilities, in the words that the page shows.
  let answered = null;
  const announce = () => {
    const verdict = document.querySelector("#verdict p")?.textContent.trim();
    if (!verdict) return;
    const each = [...document.querySelectorAll("#results .answer")].map((one) =>
      [one.querySelector("h3"), one.querySelector(".probability")].map((part) => part?.textContent.trim() ?? "").join(" ").trim());
    if (each.length < 2 || each.includes("")) return;  // drawn in part; the rest follows
    const all = [verdict, ...each].join(". ").replace(/\s+/g, " ");
    if (answered !== null && all !== answered) box("said", "status").textContent = all;
    answered = all;
  };

  // Gradio names its upload areas in English over their own, translated words: those are name enough.
  new MutationObserver(() => {
    document.querySelectorAll("button.upload-container[aria-label]").forEach((one) => one.removeAttribute("aria-label"));
    document.querySelectorAll('.empty[aria-label]:not([role])').forEach((one) => one.removeAttribute("aria-label"));
    announce();
    translateToasts();
    document.querySelectorAll(".snippet .address").forEach((one) => {
      if (one.textContent !== base()) one.textContent = base();
    });
  }).observe(document.documentElement, {childList: true, subtree: true});

  // Snippets name the address that the page itself was loaded from; one click copies them.
  const base = () => new URL(".", document.baseURI).href.replace(/\/$/, "");
  addEventListener("click", async ({target}) => {
    const button = target.closest?.(".snippet .copy");
    if (!button) return;
    const code = button.parentElement.querySelector("code"), words = button.textContent;
    try {
      await navigator.clipboard.writeText(code.innerText);
      button.textContent = button.dataset.copied;
      setTimeout(() => { button.textContent = words; }, 2000);
    } catch {
      getSelection().selectAllChildren(code);  // no clipboard without HTTPS: it is selected, to be copied by hand
    }
  });

  // The chosen tab is in sight, on a phone too, where the row of tabs scrolls; an address may have chosen it.
  new MutationObserver((changes) => changes.forEach(({target}) => {
    if (target.ariaSelected === "true" && target.closest("#tabs")) target.scrollIntoView({block: "nearest", inline: "center"});
  })).observe(document.documentElement, {attributes: true, attributeFilter: ["aria-selected"], subtree: true});
})();
