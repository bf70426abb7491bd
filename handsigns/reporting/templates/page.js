"use strict";
// Script of the page: renders the figures, sorts and filters the leaderboard. External text is only
// ever inserted as text.
(() => {
  const payload = JSON.parse(document.getElementById("payload").textContent);
  const dark = matchMedia("screen and (prefers-color-scheme: dark)");
  const views = new Map();
  const byId = (id) => document.getElementById(id);
  const make = (tag, text, className) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };

  // Figures. Expressions are interpreted (ast): the page needs no permission to evaluate text.
  const draw = async (element, spec, data) => {
    const theme = dark.matches ? "dark" : "light";
    const config = payload.config[theme];
    const previous = views.get(element);
    const result = await vegaEmbed(element, { ...spec, datasets: data, background: null }, {
      config: { ...config, background: null, aria: false }, renderer: "svg", actions: false, ast: true, logLevel: 1,
      loader: { load: () => Promise.reject(new Error("loading is disabled")) },
    });
    if (previous) previous.finalize();
    views.set(element, result);
    element.dataset.theme = theme;
    return result.view;
  };

  const drawn = new Set();
  const drawFigure = async (element) => {
    drawn.add(element);
    const figure = payload.figures[element.dataset.figure];
    const view = await draw(element, figure.spec, figure.data);
    if (element.dataset.figure === "parallel_coordinates") applyBrushes(view);
  };
  const charts = [...document.querySelectorAll("[data-figure]")];
  const visibility = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting && !drawn.has(entry.target)) drawFigure(entry.target);
    }
  }, { rootMargin: "600px" });
  charts.forEach((element) => visibility.observe(element));
  // The rest follows one by one, so that a printed page is complete.
  const drawRemaining = async () => {
    for (const element of charts) {
      if (!drawn.has(element)) await drawFigure(element);
      await new Promise((done) => setTimeout(done, 30));
    }
    document.documentElement.dataset.drawn = "all";
  };
  addEventListener("load", () => setTimeout(drawRemaining, 300));
  dark.addEventListener("change", () => {
    drawn.forEach(drawFigure);
    if (byId("trial")?.open) drawTrial(byId("trial").dataset.trial);
  });

  // Parallel coordinates: a range on each axis, set by dragging or with sliders.
  const parallel = document.querySelector('[data-figure="parallel_coordinates"]');
  const axes = parallel ? payload.figures.parallel_coordinates.data.axes.map((row) => row.axis) : [];
  const ranges = axes.map(() => [0, 1]);
  const applyBrushes = (view) => {
    ranges.forEach(([low, high], k) => view.signal(`low_${k}`, low).signal(`high_${k}`, high));
    return view.runAsync();
  };
  const setRange = (k, low, high) => {
    ranges[k] = [Math.min(low, high), Math.max(low, high)];
    const inputs = byId("brushes").children[k].querySelectorAll("input");
    inputs[0].value = ranges[k][0];
    inputs[1].value = ranges[k][1];
    const result = views.get(parallel);
    if (result) applyBrushes(result.view);
  };
  axes.forEach((axis, k) => {
    const field = make("fieldset");
    field.append(make("legend", axis));
    ["lower", "upper"].forEach((side, end) => {
      const input = make("input");
      Object.assign(input, { type: "range", min: 0, max: 1, step: 0.01, value: end });
      input.setAttribute("aria-label", `${axis}: ${side} end`);
      input.addEventListener("input", () => {
        const [low, high] = [...field.querySelectorAll("input")].map((slider) => Number(slider.value));
        setRange(k, low, high);
      });
      field.append(input);
    });
    byId("brushes").append(field);
  });
  const locate = (event) => {
    const view = views.get(parallel).view;
    const box = parallel.querySelector("svg").getBoundingClientRect();
    const [left, top] = view.origin();
    const x = event.clientX - box.left - left;
    const position = view.scale("y").invert(event.clientY - box.top - top);
    const distances = axes.map((axis) => Math.abs(view.scale("x")(axis) - x));
    const k = distances.indexOf(Math.min(...distances));
    return { k, near: distances[k] < 28, position: Math.min(1, Math.max(0, position)) };
  };
  let brush = null;
  parallel?.addEventListener("pointerdown", (event) => {
    if (!views.has(parallel)) return;
    const pointer = locate(event);
    if (pointer.near) brush = { k: pointer.k, from: pointer.position };
    if (brush) event.preventDefault();
  });
  addEventListener("pointermove", (event) => {
    if (brush) setRange(brush.k, brush.from, locate(event).position);
  });
  addEventListener("pointerup", (event) => {
    if (brush && Math.abs(locate(event).position - brush.from) < 0.015) setRange(brush.k, 0, 1);
    brush = null;
  });

  // Copy buttons.
  const announce = (text) => { byId("announcement").textContent = text; };
  const copy = async (button) => {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = make("textarea", text);
      button.after(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    if (byId("announcement")) announce("Copied");
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (button) copy(button);
  });

  // Filters persist when the page reloads itself, if the browser has session storage.
  const remember = (input) => {
    const key = `${location.pathname}#${input.id}`;
    try {
      input.value = sessionStorage.getItem(key) ?? "";
      input.addEventListener("input", () => sessionStorage.setItem(key, input.value));
    } catch { /* no session storage */ }
  };

  // The leaderboard.
  const board = byId("board");
  const maxRows = 100;
  let showAll = false;
  const update = () => {
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const status = byId("status").value;
    let count = 0;
    for (const row of board.tBodies[0].rows) {
      const text = (row.searchText ??= row.textContent.toLowerCase());
      const matches = (!status || row.dataset.status === status) && words.every((w) => text.includes(w));
      if (matches) count += 1;
      row.hidden = !matches || (!showAll && count > maxRows);
    }
    byId("more").hidden = showAll || count <= maxRows;
    byId("more").textContent = `Show all ${count}`;
    byId("shown").textContent = `${count} of ${board.tBodies[0].rows.length} trials`;
  };
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    const value = cell.dataset.v ?? cell.textContent;
    return value !== "" && !Number.isNaN(Number(value)) ? Number(value) : value;
  };
  const compare = (a, b) => {
    if (a === "–" || b === "–") return a === b ? 0 : null; // missing values come last, in either order
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };
  const sort = (header) => {
    const column = header.cellIndex;
    const sign = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
    const keyed = [...board.tBodies[0].rows].map((row) => [keyOf(row, column), row]);
    keyed.sort(([a], [b]) => {
      const order = compare(a, b);
      return order === null ? (a === "–" ? 1 : -1) : sign * order;
    });
    board.tBodies[0].append(...keyed.map(([, row]) => row));
    update();
  };
  if (board) {
    board.tHead.addEventListener("click", (event) => {
      const header = event.target.closest("th");
      if (header) sort(header);
    });
    board.tBodies[0].addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (row) openTrial(row.dataset.trial);
    });
    byId("filter").addEventListener("input", update);
    byId("status").addEventListener("change", update);
    byId("more").addEventListener("click", () => { showAll = true; update(); });
    remember(byId("filter"));
    remember(byId("status"));
    update();
  }

  // Trial dialog.
  const epochsOf = (trial) => ({
    loss: trial.epoch.flatMap((epoch, i) => [
      { epoch, split: "validation", loss: trial.val_loss[i] },
      { epoch, split: "training", loss: trial.train_loss[i] },
    ]),
    accuracy: trial.epoch.flatMap((epoch, i) => [
      { epoch, split: "validation", accuracy: trial.val_accuracy[i] },
      { epoch, split: "training", accuracy: trial.train_accuracy[i] },
      ...(trial.val_score ? [{ epoch, split: payload.score, accuracy: trial.val_score[i] }] : []),
    ]),
  });
  const drawTrial = async (id) => {
    for (const [kind, rows] of Object.entries(epochsOf(payload.trials[id]))) {
      const element = byId(`trial-${kind}`);
      element.hidden = rows.length === 0;
      if (rows.length) await draw(element, payload.curves[kind], { rows });
    }
  };
  const openTrial = (id) => {
    const trial = payload.trials[id];
    const dialog = byId("trial");
    dialog.dataset.trial = id;
    byId("trial-title").textContent = `Trial ${id}`;
    byId("trial-summary").textContent = trial.summary;
    byId("trial-config").replaceChildren(...payload.hyperparameters.map((name, k) => {
      const entry = make("div", undefined, trial.searched.includes(name) ? "searched" : "");
      entry.append(make("dt", name), make("dd", String(trial.config[k])));
      return entry;
    }));
    const error = byId("trial-error");
    error.hidden = !trial.error;
    error.textContent = trial.error;
    const line = payload.replay.replace("@TRIAL@", id);
    const command = make("div", undefined, "command");
    const button = make("button", "Copy");
    Object.assign(button, { type: "button" });
    button.dataset.copy = line;
    command.append(make("span", "Replay the trial and compare every epoch"), make("code", line), button);
    byId("trial-commands").replaceChildren(command);
    dialog.showModal();
    drawTrial(id);
  };
  byId("close")?.addEventListener("click", () => byId("trial").close());
  byId("trial")?.addEventListener("click", (event) => {
    if (event.target === byId("trial")) byId("trial").close();
  });

  // Current section in the navigation.
  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const sections = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((a) => a.removeAttribute("aria-current"));
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  document.querySelectorAll("main > section").forEach((section) => sections.observe(section));

  // While the search runs, the page reloads itself, unless it is in use.
  const seconds = Number(document.documentElement.dataset.reload);
  if (seconds) {
    let paused = false;
    byId("pause").addEventListener("click", () => {
      paused = !paused;
      byId("pause").setAttribute("aria-pressed", String(paused));
      byId("pause").textContent = paused ? "Resume" : "Pause";
    });
    setInterval(() => {
      const busy = byId("trial").open || document.activeElement?.id === "filter" || brush;
      if (!paused && !busy) location.reload();
    }, 1000 * seconds);
  }
})();
