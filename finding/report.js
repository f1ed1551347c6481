"use strict";
(() => {
  const byId = id => document.getElementById(id);
  const reveal = () => { // what a link leads to may be behind a fold
    const target = location.hash.length > 1 && byId(location.hash.slice(1));
    for (let e = target; e; e = e.parentElement) if (e.localName === "details") e.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
  const form = byId("filter");
  if (!form) return;
  const words = byId("words"), kills = byId("kills"), changed = byId("changed"), shown = byId("shown");
  const findings = [...document.querySelectorAll(".finding")];
  const folds = [...document.querySelectorAll(".fold")];
  const text = new Map();
  const textOf = f => {
    if (!text.has(f)) text.set(f, f.textContent.toLowerCase());
    return text.get(f);
  };
  function apply() {
    const want = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const sure = new Set([...form.querySelectorAll("[name=confidence]:checked")].map(c => c.value));
    let count = 0;
    for (const f of findings) {
      f.hidden = !(sure.has(f.dataset.confidence) && (!kills || !kills.checked || f.dataset.kills === "true") &&
        (!changed || !changed.checked || f.dataset.change !== "same") && want.every(w => textOf(f).includes(w)));
      if (!f.hidden) count++;
    }
    for (const fold of folds) {
      const left = fold.querySelectorAll(".finding:not([hidden])").length;
      fold.hidden = left === 0;
      fold.querySelector("summary").textContent = left + " more";
      if (want.length > 0 && 100 >= left) fold.open = true;
    }
    for (const group of document.querySelectorAll(".group")) {
      group.hidden = !group.querySelector(".finding:not([hidden])");
    }
    shown.textContent = count === findings.length ? "" : count + " of " + findings.length + " shown";
  }
  form.addEventListener("input", apply);
  form.addEventListener("submit", e => e.preventDefault());
  form.hidden = false;
  apply();
  reveal();
})();
