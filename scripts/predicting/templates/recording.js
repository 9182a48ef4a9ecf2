"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1200, STRIP = 60, TOP = 80, BOTTOM = 236, CELLS = 3600 / data.cell_s;
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

function draw(parent, name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.appendChild(element);
  return element;
}

function strip(svg, activity, confidence, first, last, x) {
  const state = (k) => activity[k] + "|" + data.pale.findIndex(([most]) => confidence[k] / 100 < most);
  for (let k = first; k < last; ) {
    let end = k + 1;
    while (end < last && state(end) === state(k)) end++;
    const missing = activity[k] === data.missing;
    const { name, fill } = missing ? { name: "missing", fill: data.missing_fill } : data.activities[activity[k]];
    const sure = missing || name === "nonwear";
    const opacity = sure ? 1 : data.pale.find(([most]) => confidence[k] / 100 < most)[1];
    const box = draw(svg, "rect", { x: x(k), y: 0, width: x(end) - x(k), height: STRIP, fill, opacity, class: "activity" });
    draw(box, "title", {}, name);
    k = end;
  }
}

function signal(svg, low, high, first, last, x) {
  const y = (value) => BOTTOM - (value / 255) * (BOTTOM - TOP);
  let path = "";
  for (let k = first; k < last; k++) {
    if (high[k] === 0) continue;  // no signal
    path += `M${x(k + 0.5).toFixed(1)} ${y(low[k]).toFixed(1)}V${(y(high[k]) - 0.7).toFixed(1)}`;
  }
  const marks = [0, 9.81, 20, 30, 40].map((value) => [value, y((value / data.signal_most) * 255)]);
  for (const [, at] of marks) draw(svg, "line", { x1: 0, x2: WIDTH, y1: at, y2: at, class: "line" });
  draw(svg, "path", { d: path, class: "signal" });
  for (const [value, at] of marks) draw(svg, "text", { x: 4, y: at - 3 }, `${value} m/s²`);
}

function show(row, hour) {
  const day = data.days[row];
  const first = hour * CELLS, cells = bytes(day.activity), last = Math.min(first + CELLS, cells.length);
  const x = (k) => ((k - first) / CELLS) * WIDTH;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} 260`);
  svg.setAttribute("preserveAspectRatio", "none");
  draw(svg, "rect", { x: 0, y: 0, width: x(last), height: STRIP, fill: "#ffffff" });
  strip(svg, cells, bytes(day.confidence), first, last, x);
  signal(svg, bytes(day.low), bytes(day.high), first, last, x);
  for (let minute = 0; minute <= 60; minute += 10) {
    const at = (minute / 60) * WIDTH;
    draw(svg, "line", { x1: at, x2: at, y1: 0, y2: BOTTOM, class: "line" });
    const label = `${day.hours[hour].slice(0, 3)}${String(minute).padStart(2, "0")}`;
    if (minute < 60) draw(svg, "text", { x: at + 3, y: 254 }, label);
  }
  document.getElementById("zoom-title").textContent = `${day.label}, ${day.hours[hour]}`;
  document.getElementById("zoom").replaceChildren(svg);
  document.querySelectorAll(".hour.chosen").forEach((e) => e.classList.remove("chosen"));
  document.querySelector(`.hour[data-row="${row}"][data-hour="${hour}"]`).classList.add("chosen");
}

document.querySelectorAll(".hour").forEach((element) => {
  const open = () => show(Number(element.dataset.row), Number(element.dataset.hour));
  element.addEventListener("click", open);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); }
  });
});

show(0, data.first_hour);
