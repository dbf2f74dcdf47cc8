(() => {
  "use strict";
  const one = (s) => document.querySelector(s);
  const tools = one(".tools"), cards = one("#cards");
  if (tools && cards) {
    const find = one("#find"), sort = one("#sort"), found = one("#found");
    const all = [...cards.children];
    const by = {
      rank: (a, b) => a.dataset.rank - b.dataset.rank,
      name: (a, b) => a.dataset.name.localeCompare(b.dataset.name),
      place: (a, b) => a.dataset.place - b.dataset.place,
    };
    const show = () => {
      const wanted = find.value.trim().toLowerCase();
      let n = 0;
      for (const card of all) {
        card.hidden = !card.dataset.name.includes(wanted);
        n += !card.hidden;
      }
      found.textContent = wanted ? `${n} of ${all.length} columns` : "";
    };
    find.addEventListener("input", show);
    sort.addEventListener("change", () => cards.append(...all.sort(by[sort.value])));
    tools.hidden = false;
  }
  const readout = one(".readout");
  if (readout) {
    const data = JSON.parse(one("#tronie-report").textContent);
    const found = data.evaluations.map((e) => e.dependence);
    const names = found[0].columns;
    const value = (key, i, j) => {
      const [n, what] = key.split(" ");
      if (!what) return found[0].real[i][j];
      const s = found[n].synthetic[i][j];
      return what === "synthetic" ? s : s - (found[n].real || found[0].real)[i][j];
    };
    readout.hidden = false;
    for (const map of document.querySelectorAll("svg[data-map]")) {
      map.addEventListener("pointermove", (event) => {
        const box = map.getBoundingClientRect();
        const unit = map.viewBox.baseVal.width / box.width / map.dataset.cell;
        const j = Math.floor((event.clientX - box.left) * unit);
        const i = Math.floor((event.clientY - box.top) * unit);
        if (j < 0 || i >= names.length || j >= i) return;
        const shown = value(map.dataset.map, i, j).toFixed(2).replace("-", "\u2212");
        const table = map.parentElement.querySelector("figcaption").textContent;
        readout.textContent = `${names[j]} \u00d7 ${names[i]}, ${table}: ${shown}`;
      });
    }
  }
})();
