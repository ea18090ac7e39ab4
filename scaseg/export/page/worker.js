"use strict";
// The model, in a thread of its own: RGBA pixels -> class ids, one a pixel.
importScripts("onnxruntime/ort.wasm.min.js");
ort.env.wasm.wasmPaths = new URL("onnxruntime/", self.location).href;
ort.env.wasm.numThreads = 1;  // several need headers that a plain server does not send
const loading = ort.InferenceSession.create(new URL("model.onnx", self.location).href, { executionProviders: ["wasm"] });
loading.then(() => postMessage({ ready: true }), (error) => postMessage({ error: `The model cannot be loaded: ${error.message ?? error}` }));

onmessage = async ({ data: { number, pixels, width, height, size } }) => {
  try {
    const session = await loading, area = width * height, planes = new Float32Array(3 * area);
    for (let i = 0; i < area; i++) for (let c = 0; c < 3; c++) planes[c * area + i] = pixels[4 * i + c];
    const begun = performance.now();
    const images = new ort.Tensor("float32", planes, [1, 3, height, width]);
    const { labels: found } = await session.run({ images });
    const labels = Uint16Array.from(found.data, Number);
    postMessage({ number, labels, width, height, size, seconds: (performance.now() - begun) / 1000 });
  } catch (error) {
    postMessage({ number, error: `The image cannot be computed: ${error.message ?? error}` });
  }
};
