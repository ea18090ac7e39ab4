"use strict";
const at = (id) => document.getElementById(id);
const state = { file: null, asked: 0, limits: null };

function say(text, error = false) {
  at("status").textContent = text;
  at("status").classList.toggle("error", error);
}

// The mask as pixels: lines between regions, for colours of two classes may look alike; one colour alone on request.
async function painter(canvas, source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  const { naturalWidth: width, naturalHeight: height } = image;
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const shown = context.getImageData(0, 0, width, height);
  const pixels = new Uint32Array(shown.data.buffer);  // little-endian: alpha, blue, green, red
  const classes = pixels.slice(), edges = new Uint8Array(pixels.length);
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++, i++)
      edges[i] = (x + 1 < width && classes[i] !== classes[i + 1]) || (y + 1 < height && classes[i] !== classes[i + width]);
  return (colour) => {
    const [red, green, blue] = [1, 3, 5].map((from) => parseInt((colour ?? "#000000").slice(from, from + 2), 16));
    const alone = (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
    const veil = 0.3 * red + 0.59 * green + 0.11 * blue < 90 ? 0xb0ffffff : 0xb0000000;  // unlike the class itself
    for (let i = 0; i < pixels.length; i++) {
      if (colour === null) pixels[i] = edges[i] ? 0xffffffff : classes[i];
      else pixels[i] = classes[i] === alone ? classes[i] : veil;
    }
    context.putImageData(shown, 0, 0);
  };
}

async function show(answer, image, size) {
  const figure = at("result").content.cloneNode(true);
  figure.querySelector(".name").textContent = answer.name;
  figure.querySelector(".time").textContent = `${size}, ${answer.seconds.toFixed(2)} s`;
  figure.querySelector(".image").src = image;
  const legend = figure.querySelector(".legend"), paint = await painter(figure.querySelector(".mask"), answer.mask);
  let pressed = null;
  for (const { class: name, colour, share } of answer.shares) {
    const line = document.createElement("li");
    const [swatch, text, bar, fill, percent] = ["i", "span", "i", "b", "span"].map((tag) => document.createElement(tag));
    swatch.style.background = fill.style.background = colour;
    text.textContent = name;
    bar.className = "bar";
    fill.style.width = `${100 * share}%`;
    percent.className = "share";
    percent.textContent = `${(100 * share).toFixed(share < 0.0995 ? 2 : 1)} %`;
    bar.append(fill);
    line.append(swatch, text, bar, percent);
    [line.tabIndex, line.role, line.ariaPressed] = [0, "button", "false"];
    const press = () => {
      for (const other of legend.children) other.ariaPressed = String(other === line && pressed !== line);
      pressed = pressed === line ? null : line;
      line.dataset.colour = colour;
      paint(pressed && colour);
    };
    line.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && paint(colour));
    line.addEventListener("pointerleave", () => paint(pressed && pressed.dataset.colour));
    line.addEventListener("click", press);
    line.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); press(); }
    });
    legend.append(line);
  }
  paint(null);
  return figure;
}

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
