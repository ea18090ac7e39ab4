"use strict";
const at = (id) => document.getElementById(id);
const state = { file: null, asked: 0, limits: null };

function say(text, error = false) {
  at("status").textContent = text;
  at("status").classList.toggle("error", error);
}

function show(answer, image, size) {
  const figure = at("result").content.cloneNode(true);
  figure.querySelector(".name").textContent = answer.name;
  figure.querySelector(".time").textContent = `${size}, ${answer.seconds.toFixed(2)} s`;
  figure.querySelector(".image").src = image;
  figure.querySelector(".mask").src = answer.mask;
  const legend = figure.querySelector(".legend");
  for (const { class: name, colour, share } of answer.shares) {
    const line = document.createElement("li");
    const [swatch, text, bar, fill, percent] = ["i", "span", "i", "b", "span"].map((tag) => document.createElement(tag));
    swatch.style.background = fill.style.background = colour;
    text.textContent = name;
    text.title = name;
    bar.className = "bar";
    fill.style.width = `${100 * share}%`;
    percent.className = "share";
    percent.textContent = `${(100 * share).toFixed(share < 0.0995 ? 2 : 1)} %`;
    bar.append(fill);
    line.append(swatch, text, bar, percent);
    legend.append(line);
  }
  at("results").append(figure);
}

async function ask() {
  if (!state.file) return;
  const number = ++state.asked;  // an answer that comes after a newer question is dropped
  if (!state.file.type.startsWith("image/")) return say("This is not an image.", true);
  if (state.file.size > state.limits.max_bytes)
    return say(`The file is larger than ${Math.round(state.limits.max_bytes / 2 ** 20)} MB.`, true);
  say("Computing …");
  const names = [at("first").value, at("second").value].filter((name) => name);
  const query = new URLSearchParams(names.map((name) => ["model", name]));
  try {
    const reply = await fetch(`predict?${query}`, { method: "POST", body: state.file });
    const told = await reply.json();
    if (number !== state.asked) return;
    at("results").replaceChildren();
    if (!reply.ok) return say(told.error, true);
    say("");
    for (const answer of told.answers) show(answer, told.image, `${told.width} × ${told.height}`);
  } catch {
    if (number === state.asked) say("The server does not answer. Is it still running?", true);
  }
}

function take(files) {
  if (!files.length) return;
  state.file = files[0];
  ask();
}

async function start() {
  const told = await (await fetch("models")).json();
  state.limits = told;
  at("limit").textContent = `up to ${Math.round(told.max_bytes / 2 ** 20)} MB and ${Math.round(told.max_pixels / 1e6)} million pixels`;
  for (const { name } of told.models) at("first").add(new Option(name, name));
  at("second").add(new Option("none", ""));
  for (const { name } of told.models) at("second").add(new Option(name, name));
  at("compare").hidden = told.models.length < 2;
  at("file").addEventListener("change", () => take(at("file").files));
  for (const id of ["first", "second"]) at(id).addEventListener("change", ask);
  at("opacity").addEventListener("input", () => at("results").style.setProperty("--opacity", at("opacity").value / 100));
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  at("drop").addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); at("file").click(); }
  });
  for (const kind of ["dragover", "dragleave", "drop"])
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      at("drop").classList.toggle("over", kind === "dragover");
      if (kind === "drop") take(event.dataTransfer.files);
    });
}

start();
