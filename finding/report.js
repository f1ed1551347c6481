"use strict";
(() => {
  const form = document.getElementById("filter");
  if (!form) return;
  const words = document.getElementById("words");
  const kills = document.getElementById("kills");
  const shown = document.getElementById("shown");
  const findings = [...document.querySelectorAll(".finding")];
  const text = new Map(findings.map(f => [f, f.textContent.toLowerCase()]));
  function apply() {
    const want = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const sure = new Set([...form.querySelectorAll("[name=confidence]:checked")].map(c => c.value));
    let count = 0;
    for (const f of findings) {
      f.hidden = !(sure.has(f.dataset.confidence) && (!kills || !kills.checked || f.dataset.kills === "true") &&
        want.every(w => text.get(f).includes(w)));
      if (!f.hidden) count++;
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
})();
