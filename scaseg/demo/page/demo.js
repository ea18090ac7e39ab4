"use strict";  // after masks.js
const state = { file: null, asked: 0, limits: null };

async function ask() {
  if (!state.file || !state.limits) return;
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
    if (!reply.ok) return at("results").replaceChildren(), say(told.error, true);
    const drawn = told.answers.map((answer) => show(answer, told.image, `${told.width} × ${told.height}`));
    const figures = await Promise.all(drawn);
    if (number !== state.asked) return;
    at("results").replaceChildren(...figures);
    say("");
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
  listen(take);
  for (const id of ["first", "second"]) at(id).addEventListener("change", ask);
  const told = await (await fetch("models")).json();
  at("limit").textContent = `up to ${Math.round(told.max_bytes / 2 ** 20)} MB and ${Math.round(told.max_pixels / 1e6)} million pixels`;
  for (const { name } of told.models) at("first").add(new Option(name, name));
  at("second").add(new Option("none", ""));
  for (const { name } of told.models) at("second").add(new Option(name, name));
  at("compare").hidden = told.models.length < 2;
  state.limits = told;
  ask();  // what was dropped meanwhile
}

start();
