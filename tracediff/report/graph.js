"use strict";
(() => {
  const stage = document.getElementById("stage");
  const svg = stage.querySelector("svg");
  const { x: x0, y: y0, width: w0, height: h0 } = svg.viewBox.baseVal;
  const full = { x: x0, y: y0, width: w0, height: h0 };
  let view = { x: full.x, y: full.y, w: full.width, h: full.height };
  svg.removeAttribute("width");
  svg.removeAttribute("height");
  const show = () => svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`);
  const zoom = (factor, px, py) => {
    const box = svg.getBoundingClientRect();
    const fx = (px - box.left) / box.width, fy = (py - box.top) / box.height;
    const w = Math.min(full.width * 4, Math.max(60, view.w * factor)), h = view.h * (w / view.w);
    view = { x: view.x + (view.w - w) * fx, y: view.y + (view.h - h) * fy, w, h };
    show();
  };
  stage.addEventListener("wheel", (e) => { e.preventDefault(); zoom(e.deltaY > 0 ? 1.15 : 1 / 1.15, e.clientX, e.clientY); }, { passive: false });
  let from = null;
  stage.addEventListener("pointerdown", (e) => { from = { x: e.clientX, y: e.clientY, vx: view.x, vy: view.y }; });
  window.addEventListener("pointerup", () => { from = null; });
  window.addEventListener("pointermove", (e) => {
    if (!from) return;
    const scale = view.w / svg.getBoundingClientRect().width;
    view.x = from.vx - (e.clientX - from.x) * scale;
    view.y = from.vy - (e.clientY - from.y) * scale;
    show();
  });
  const middle = () => { const b = svg.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; };
  document.getElementById("in").addEventListener("click", () => zoom(1 / 1.3, ...middle()));
  document.getElementById("out").addEventListener("click", () => zoom(1.3, ...middle()));
  document.getElementById("fit").addEventListener("click", () => {
    view = { x: full.x, y: full.y, w: full.width, h: full.height };
    show();
  });
  const open = (id) => {
    document.querySelectorAll("#details > section").forEach((s) => { s.hidden = s.dataset.node !== id; });
    svg.querySelectorAll(".node").forEach((n) => n.classList.toggle("chosen", n.dataset.node === id));
  };
  const choose = (id) => { open(id); history.replaceState(null, "", "#" + id); };
  svg.querySelectorAll(".node").forEach((n) => {
    n.addEventListener("click", () => choose(n.dataset.node));
    n.addEventListener("keydown", (e) => { if (e.key === "Enter") choose(n.dataset.node); });
  });
  // A link to the page can name the node to show.
  if (location.hash.length > 1) open(decodeURIComponent(location.hash.slice(1)));
})();
