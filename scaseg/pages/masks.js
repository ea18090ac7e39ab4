"use strict";
// What pages with masks over images share: what they say, the mask as a canvas, the legend beside it.
const at = (id) => document.getElementById(id);

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

// Chosen, dropped or taken from the keyboard: `take` gets the files.
function listen(take) {
  at("file").addEventListener("change", () => take(at("file").files));
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
