"use strict";  // after masks.js
const MOST = 2 ** 21;  // pixels that the model sees at once: WebAssembly has 4 GB at the most
const state = { file: null, about: null, asked: 0 };
const worker = new Worker("worker.js");

// Size at which the model sees an image, as the protocol has it; beyond the limits of this page the nearest within them.
function seenSize(width, height) {
  const { protocol: { box, size_divisor: divisor }, input: { least_side: least } } = state.about;
  const [long, short] = [Math.max(width, height), Math.min(width, height)];
  let ratio = box ? Math.min(Math.max(...box) / long, Math.min(...box) / short) : 1;
  ratio = Math.max(Math.min(ratio, Math.sqrt(MOST / (width * height))), least / short);
  return [width, height].map((side) => Math.ceil(Math.max(1, Math.floor(side * ratio + 0.5)) / divisor) * divisor);
}

// RGBA at `width` x `height`, bilinear with pixel centres at (i + 0.5) * scale and no smoothing, as OpenCV's.
function resized({ data, width: from, height: rows }, width, height) {
  if (from === width && rows === height) return data;
  const out = new Uint8ClampedArray(4 * width * height);
  const steps = (wanted, there) => Array.from({ length: wanted }, (_, i) => {
    const place = Math.min(Math.max((i + 0.5) * there / wanted - 0.5, 0), there - 1), low = Math.floor(place);
    return [low, Math.min(low + 1, there - 1), place - low];
  });
  const columns = steps(width, from);
  steps(height, rows).forEach(([top, bottom, down], y) => columns.forEach(([left, right, along], x) => {
    for (let c = 0; c < 3; c++) {
      const value = (row, column) => data[4 * (row * from + column) + c];
      const above = value(top, left) * (1 - along) + value(top, right) * along;
      const below = value(bottom, left) * (1 - along) + value(bottom, right) * along;
      out[4 * (y * width + x) + c] = Math.round(above * (1 - down) + below * down);
    }
  }));
  return out;
}

async function ask() {
  if (!state.file || !state.about) return;
  const number = ++state.asked;  // an answer that comes after a newer question is dropped
  say("Computing …");
  let picture;
  try {
    picture = await createImageBitmap(state.file, { colorSpaceConversion: "none" });
  } catch {
    return number === state.asked && (at("results").replaceChildren(), say("This is not an image that the browser can read.", true));
  }
  const canvas = new OffscreenCanvas(picture.width, picture.height), context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  const [width, height] = seenSize(picture.width, picture.height);
  const pixels = resized(context.getImageData(0, 0, picture.width, picture.height), width, height);
  worker.postMessage({ number, pixels, width, height, size: `${picture.width} × ${picture.height}` });
}

function answered({ labels, width, height, seconds }) {
  const { classes, colours } = state.about, counts = classes.map(() => 0);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d"), shown = context.createImageData(width, height);
  labels.forEach((id, i) => { counts[id]++; shown.data.set([...colours[id], 255], 4 * i); });
  context.putImageData(shown, 0, 0);
  const hex = (colour) => `#${colour.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
  const shares = classes.map((name, i) => ({ class: name, colour: hex(colours[i]), share: counts[i] / labels.length }))
    .filter(({ share }) => share).sort((a, b) => b.share - a.share);
  return { name: state.file.name, seconds, mask: canvas.toDataURL(), shares };
}

worker.onmessage = async ({ data: told }) => {
  if (told.ready) return at("drop").dataset.ready = "";
  if (told.number !== undefined && told.number !== state.asked) return;
  if (told.error) return at("results").replaceChildren(), say(told.error, true);
  const image = URL.createObjectURL(state.file);
  at("results").replaceChildren(await show(answered(told), image, `${told.size}, seen at ${told.width} × ${told.height}`));
  say("");
};
worker.onerror = () => say("The model cannot be loaded: serve this folder over HTTP, as README.txt says.", true);

listen((files) => {
  if (!files.length) return;
  state.file = files[0];
  ask();
});
fetch("about.json").then((reply) => reply.json()).then((about) => {
  state.about = about;
  at("limit").textContent = `${about.classes.length} classes`;
  ask();  // what was dropped meanwhile
});
