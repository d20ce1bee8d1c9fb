// The Compare tab's cut-off: everything that it moves was computed before, so a move asks nobody.
(() => {
  const state = {mode: "alerts", at: null};  // at: null is where the release has its cut-offs
  const root = () => document.getElementById("compare");
  let read = null, source = null;
  const data = () => {
    const held = root()?.dataset.tables;
    if (held !== source) { source = held; read = held ? JSON.parse(held) : null; }
    return read;
  };
  const formats = {};
  const number = (value, digits) => {
    const key = `${data().language} ${digits}`;
    formats[key] ??= new Intl.NumberFormat(data().language, {minimumFractionDigits: digits, maximumFractionDigits: digits});
    return formats[key].format(value);
  };
  const percent = (share) => {
    if (!Number.isFinite(share)) return "\u2013";
    const value = share * 100;
    return `${number(value, value !== 0 && value < 1 ? 2 : value < 10 || value > 99 ? 1 : 0)}%`;
  };
  const row = () => state.at === null ? data().released : rowOf(data()[state.mode], state.at);
  const rowOf = (table, at) => Object.fromEntries(Object.entries(table).map(([name, values]) => [name, values[at]]));
  // Wilson's score interval of hits / n.
  const wilson = (hits, n) => {
    if (!n) return [NaN, NaN];
    const z = 1.959964, p = hits / n, shrunk = 1 + z * z / n;
    const centre = (p + z * z / (2 * n)) / shrunk;
    const half = z / shrunk * Math.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2);
    return [Math.max(0, centre - half), Math.min(1, centre + half)];
  };
  const say = (name, words) => {
    for (const place of root().querySelectorAll(`[data-say="${name}"]`)) if (place.textContent !== words) place.textContent = words;
  };

  const model = (name, now) => {
    const {n, n_frauds, per, currency} = data();
    const alerts = now[`${name}_alerts`], hits = now[`${name}_hits`];
    const false_alarms = alerts - hits, missed = n_frauds - hits, passed = n - n_frauds - false_alarms;
    say(`${name}-cut`, percent(now[`${name}_threshold`]));
    for (const [cell, count, total] of [["hit", hits, n_frauds], ["miss", missed, n_frauds], ["false", false_alarms, n - n_frauds], ["pass", passed, n - n_frauds]]) {
      say(`${name}-${cell}`, number(count, 0));
      say(`${name}-${cell}-rate`, percent(count / total));
      const place = root().querySelector(`[data-cell="${name}-${cell}"]`);
      if (place) place.style.setProperty("--share", (count / total).toFixed(4));
    }
    const range = ([low, high]) => Number.isFinite(low) ? `${percent(low)}\u2013${percent(high)}` : "";
    say(`${name}-recall`, percent(hits / n_frauds));
    say(`${name}-recall-range`, range(wilson(hits, n_frauds)));
    say(`${name}-precision`, percent(hits / alerts));
    say(`${name}-precision-range`, range(wilson(hits, alerts)));
    say(`${name}-cost`, `${number(now[`${name}_cost`], 0)}\u00a0${currency}`.trim());
    say(`${name}-daily`, number(alerts / per, alerts / per < 10 ? 1 : 0));
    const dot = root().querySelector(`[data-dot="pr-${name}"]`);
    const precision = alerts ? hits / alerts : 1;
    dot.style.left = `${100 * hits / n_frauds}%`;
    dot.style.top = `${100 - 100 * precision}%`;
    const cost = root().querySelector(`[data-dot="cost-${name}"]`);
    cost.style.left = `${100 * place(name, now)}%`;
    cost.style.top = `${100 - 100 * Math.min(1, now[`${name}_cost`] / data().cost_top)}%`;
  };
  // Where on the cost figure's axis a model's cut-off lies: the slider's own scale.
  const place = (name, now) => {
    const table = data()[state.mode], last = table.value.length - 1;
    if (state.at !== null) return state.at / last;
    const values = state.mode === "probability" ? table[`${name}_threshold`] : table[`${name}_alerts`];
    const wanted = state.mode === "probability" ? now[`${name}_threshold`] : now[`${name}_alerts`];
    const after = values.findIndex((value) => state.mode === "probability" ? value <= wanted : value >= wanted);
    return (after < 0 ? last : after) / last;
  };
  const agreement = (now) => {
    const [first, second] = data().models;
    const {n, n_frauds} = data();
    const parts = {
      both: [now.both, now.both_hits],
      first: [now[`${first}_alerts`] - now.both, now[`${first}_hits`] - now.both_hits],
      second: [now[`${second}_alerts`] - now.both, now[`${second}_hits`] - now.both_hits],
    };
    const seen = Object.values(parts).reduce(([a, b], [c, d]) => [a + c, b + d]);
    parts.neither = [n - seen[0], n_frauds - seen[1]];
    for (const [name, [count, frauds]] of Object.entries(parts)) {
      say(`${name}-n`, number(count, 0));
      say(`${name}-frauds`, number(frauds, 0));
      say(`${name}-share`, percent(count ? frauds / count : NaN));
    }
  };
  const lines = () => {
    const {models, n_frauds, cost_top} = data(), table = data()[state.mode], ranked = data().alerts;
    const last = table.value.length - 1;
    for (const name of models) {
      const pr = ranked.value.map((_, i) => `${(100 * ranked[`${name}_hits`][i] / n_frauds).toFixed(2)},${(100 - 100 * ranked[`${name}_hits`][i] / ranked[`${name}_alerts`][i]).toFixed(2)}`);
      root().querySelector(`[data-line="pr-${name}"]`).setAttribute("points", pr.join(" "));
      const cost = table[`${name}_cost`].map((value, i) => `${(100 * i / last).toFixed(2)},${(100 - 100 * Math.min(1, value / cost_top)).toFixed(2)}`);
      root().querySelector(`[data-line="cost-${name}"]`).setAttribute("points", cost.join(" "));
    }
    const pick = (share) => table.value[Math.round(share * last)];
    ["0", "0.5", "1"].forEach((share) => say(`cost-tick-${share}`, value(pick(Number(share)))));
    say("cost-x", data().words[state.mode]);
  };
  const value = (v) => state.mode === "probability" ? percent(v) : number(v, v < 0.1 ? 2 : v < 10 ? 1 : 0);
  const move = () => {
    if (!data()) return;
    const now = row();
    data().models.forEach((name) => model(name, now));
    agreement(now);
    const slider = root().querySelector("#compare-slider");
    const shown = state.at === null ? data().words.released : `${value(now.value)} ${state.mode === "probability" ? "" : data().words.unit}`.trim();
    say("value", shown);
    slider.setAttribute("aria-valuetext", shown);
    root().querySelector("#compare-released").disabled = state.at === null;
  };
  const draw = () => {
    if (!data()) return;
    const slider = root().querySelector("#compare-slider"), last = data()[state.mode].value.length - 1;
    slider.max = last;
    if (state.at !== null) state.at = Math.min(state.at, last);
    slider.value = state.at ?? Math.round(last * (place(data().models[0], data().released) + place(data().models[1], data().released)) / 2);
    for (const radio of root().querySelectorAll("input[name=compare-by]")) radio.checked = radio.value === state.mode;
    lines();
    move();
    root().dataset.ready = "yes";
  };
  addEventListener("input", ({target}) => {
    if (target.id === "compare-slider") { state.at = Number(target.value); move(); }
    if (target.name === "compare-by") { state.mode = target.value; state.at = null; draw(); }
  });
  addEventListener("click", ({target}) => {
    if (target.id === "compare-released") { state.at = null; draw(); }
  });
  window.fraudCompare = {
    draw,
    chosen: () => JSON.stringify(data() ? Object.fromEntries(data().models.map((name) => [name, row()[`${name}_threshold`]])) : {}),
  };
})();
