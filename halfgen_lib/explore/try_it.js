// Half an image, picked or drawn, and what networks make of it at once: a module as anywidget takes
// it. In the paper the networks run here, in the explorer Python's do. No library, no request.
const EDGE = 28, HALF = EDGE * EDGE / 2;
const SIDES = { left: [0, 0, 0], right: [14, 0, 0], top: [0, 0, 1], bottom: [0, 14, 1] };
const OVER = [213, 94, 0], UNDER = [0, 114, 178]; // too bright, too dark: Okabe and Ito's palette
const MOVES = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
const WHOLE = [0, 0, EDGE, EDGE], MIRRORED = ", mirrored";
let views = 0;
const clamp = (value, most) => Math.min(most, Math.max(0, value));

function bytesOf(content) { // base64 in a page, a DataView from Python
  if (typeof content === "string") return Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
  const { buffer, byteOffset, byteLength } = content;
  return new Uint8Array(buffer.slice(byteOffset, byteOffset + byteLength));
}

// A layer is a matrix. A convolution multiplies it with each patch of its input; a transposed one
// multiplies it with each pixel, and adds the result to a patch of its output; a fully connected
// layer is a convolution of one patch. `taps` holds, for each patch and each place in it, the
// position of the pixel there, or -1 in the padding.
function tapsOf({ from, to, transposed, kernel, stride, pad }) {
  const [channels, height, width] = transposed ? to : from; // of the map that has the patches
  const [, down, across] = transposed ? from : to, [kh, kw] = kernel, taps = []; // how many patches
  for (let patch = 0; patch < down * across; patch++)
    for (let k = 0; k < channels * kh * kw; k++) {
      const y = Math.floor(patch / across) * stride + Math.floor(k / kw) % kh - pad[0];
      const x = patch % across * stride + k % kw - pad[1], map = Math.floor(k / (kh * kw)) * height;
      taps.push(y >= 0 && y < height && x >= 0 && x < width ? (map + y) * width + x : -1);
    }
  return Int32Array.from(taps);
}

function readLayer(shape, buffer) { // weights are whole numbers, with a scale for each row
  const { at, rows, cols, to } = shape, matrix = new Float32Array(rows * cols);
  const scale = new Float32Array(buffer, at, rows);
  const bias = new Float32Array(buffer, at + 4 * rows, to[0]);
  new Int16Array(buffer, at + 4 * (rows + to[0]), rows * cols).forEach((code, k) => {
    matrix[k] = code * scale[Math.floor(k / cols)];
  });
  return { ...shape, matrix, bias, taps: tapsOf(shape) };
}

function applyLayer({ matrix, rows, cols, to, transposed, taps, bias, slope, sigmoid }, x) {
  const size = to[1] * to[2], output = new Float32Array(to[0] * size);
  const each = transposed ? rows : cols, patches = taps.length / each;
  const input = new Float32Array(cols);
  for (let patch = 0; patch < patches; patch++) {
    const first = patch * each;
    for (let i = 0; i < cols; i++) {
      const tap = transposed ? i * patches + patch : taps[first + i];
      input[i] = tap < 0 ? 0 : x[tap];
    }
    for (let row = 0, k = 0; row < rows; row++) {
      let sum = 0;
      for (let i = 0; i < cols; i++) sum += matrix[k++] * input[i];
      const tap = transposed ? taps[first + row] : row * patches + patch;
      if (tap >= 0) output[tap] += sum;
    }
  }
  return output.map((sum, i) => {
    const value = sum + bias[Math.floor(i / size)];
    if (sigmoid) return 1 / (1 + Math.exp(-value));
    return value < 0 ? value * slope : value; // LeakyReLU; with slope 1 the identity
  });
}

function networksOf(model) { // none in the explorer; their known half is the left one
  const buffer = bytesOf(model.get("weights") || "").buffer;
  return (model.get("networks") || []).map(({ name, words, layers }) => {
    const ready = layers.map((shape) => readLayer(shape, buffer));
    return (image) => {
      const left = image.filter((_, i) => i % EDGE < EDGE / 2);
      const right = ready.reduce((x, layer) => applyLayer(layer, x), left);
      return { name, words, image: image.map((value, i) =>
        i % EDGE < EDGE / 2 ? value : right[i - EDGE / 2 * (Math.floor(i / EDGE) + 1)]) };
    };
  });
}

// A state is { image, title, truth }: the image is whole, but only that of a test image is true
// outside the known half. States are replaced, never changed: to undo is to go back.
function render({ model, el }) {
  el.innerHTML = model.get("html"); // the library's own, no text of a notebook's
  const root = el.firstElementChild, find = (selector) => root.querySelector(selector);
  const view = ++views, canvas = find(".try-draw canvas"), cursor = find(".try-cursor");
  const truth = find(".try-truth"), light = find(".try-light input"), networks = networksOf(model);
  const [eraser, undo, , mirror, errors] = find(".try-buttons").children;
  let state, past = [], redraw, frame = 0, asked = null, stroke = null, told = "";
  let startX, startY, wide, column, row; // of the known half, and of the keyboard's cursor
  root.querySelectorAll("[name]").forEach((input) => { input.name += view; });
  const pressed = (button) => button.getAttribute("aria-pressed") === "true";
  const say = (words) => { find(".try-hidden").textContent = words; };
  const known = (i) => wide ? (i < HALF) === !startY : (i % EDGE < EDGE / 2) === !startX;

  function draw(target, image, [left, top, width, height] = WHOLE, compared = null) {
    const shown = new ImageData(EDGE, EDGE);
    image.forEach((value, i) => { // compared with the truth, white is right
      const gap = compared ? value - compared[i] : 0, strength = clamp(2 * Math.abs(gap), 1);
      const grey = 255 * (compared && !known(i) ? 1 : value), colour = gap > 0 ? OVER : UNDER;
      shown.data.set([...colour.map((part) => grey + strength * (part - grey)), 255], 4 * i);
    });
    Object.assign(target, { width, height });
    target.getContext("2d").putImageData(shown, -left, -top);
  }
  function show() {
    frame = 0;
    const { image, title, truth: isTrue } = state, whole = truth.querySelector("canvas");
    draw(canvas, image, [startX, startY, wide ? EDGE : EDGE / 2, wide ? EDGE / 2 : EDGE]);
    draw(whole, image);
    whole.setAttribute("aria-label", "The truth: " + title);
    truth.hidden = errors.hidden = !isTrue; // a drawing has none
    find(".try-draw small").textContent = title;
    root.querySelectorAll(".try-images input").forEach((input) => {
      input.checked = isTrue && input.ariaLabel === title.replace(MIRRORED, "");
    });
    undo.disabled = !past.length;
    mirror.setAttribute("aria-pressed", title.endsWith(MIRRORED));
    if (networks.length) showPanels(networks.map((complete) => complete(image)), state);
    else ask();
  }

  function showPanels(panels, of) {
    redraw = () => showPanels(panels, of);
    const compared = of.truth && pressed(errors) && of.image;
    const scores = panels.map(({ image }) => of.truth
      ? image.reduce((sum, value, i) => sum + (value - of.image[i]) ** 2, 0) / HALF : NaN);
    const words = scores.map((score) => score >= 0 ? "MSE " + score.toFixed(4) : "");
    find(".try-results").replaceChildren(...panels.map(({ name, words: about, image, row }, k) => {
      const figure = find(".try-panel").content.firstElementChild.cloneNode(true);
      const captions = figure.lastElementChild.children;
      [name, words[k], about].forEach((text, i) => { captions[i].textContent = text; });
      figure.classList.toggle("try-better", panels.length > 1 && scores[k] === Math.min(...scores));
      const target = figure.querySelector("canvas"), what = compared ? "Errors of " : "Made by ";
      target.setAttribute("aria-label", what + name + ": " + of.title);
      if (row) figure.style.width = "calc(100cqw / " + row + " - 1rem)"; // so many in a row
      draw(target, image, WHOLE, compared);
      return figure;
    }));
    const spoken = [of.title, ...panels.map(({ name }, k) => name + " " + words[k])].join(", ");
    if (of.truth && past.length && spoken !== told) say(told = spoken);
  }

  function ask() { // one question at a time: what has changed meanwhile is asked after the answer
    if (asked) return;
    asked = state;
    const serial = model.get("value").serial + 1, image = new DataView(state.image.slice().buffer);
    model.set("value", { serial, image });
    model.save_changes();
  }
  function answer() {
    const { serial, panels, notes } = model.get("results"), of = asked || state;
    find(".try-notes").textContent = notes.join(" ");
    if (serial !== model.get("value").serial) return; // it is that of an older question
    asked = null;
    showPanels(panels.map(({ image, ...panel }) => (
      { ...panel, image: new Float32Array(bytesOf(image).buffer) })), of);
    if (of !== state) ask();
  }
  function change(next, before = past) { // changes between two frames are shown together
    [state, past] = [next, before];
    frame ||= requestAnimationFrame(show);
  }
  const replace = (next) => change(next, state ? [...past.slice(-199), state] : []);
  const back = () => past.length && change(past.at(-1), past.slice(0, -1));
  const drawing = (image) =>
    ({ image: image.map((value, i) => known(i) ? value : 0), title: "your drawing", truth: false });
  const units = (bytes) => Float32Array.from(bytes, (value) => value / 255);
  function turned({ image, title: old, truth: isTrue }) { // a drawn half stays on its side
    const last = 2 * EDGE - 1 + (isTrue || wide ? 0 : EDGE / 2);
    const title = isTrue && !old.endsWith(MIRRORED) ? old + MIRRORED : old.replace(MIRRORED, "");
    const flipped = image.map((_, i) => image[i - i % EDGE + (last - i % EDGE) % EDGE]);
    return { image: flipped, title, truth: isTrue };
  }

  function load() { // test images to pick from: the first is shown
    const { titles, pixels, given } = model.get("images"), all = bytesOf(pixels), size = 2 * HALF;
    [startX, startY, wide] = SIDES[given];
    root.classList.toggle("try-wide", wide === 1);
    const images = titles.map((title, k) => (
      { image: units(all.slice(k * size, (k + 1) * size)), title, truth: true }));
    find(".try-images").replaceChildren(...images.map((picked) => {
      const label = find(".try-thumb").content.firstElementChild.cloneNode(true);
      const [input, thumbnail] = label.children;
      Object.assign(input, { ariaLabel: picked.title, name: "try-image" + view });
      Object.assign(label, { title: picked.title, onchange: () => replace(picked) });
      draw(thumbnail, picked.image);
      return label;
    }));
    [column, row] = wide ? [14, 7] : [7, 14];
    replace(images[0]);
  }

  // A stroke covers what lies within its radius, softened over one pixel. The cover is kept for the
  // whole stroke, so that going over a place twice does not harden its edge.
  const radius = () => Number(find(".try-brushes :checked").value) / 2;
  function begin() {
    stroke = { before: state.image, cover: new Float32Array(2 * HALF), last: null };
    replace(drawing(state.image));
  }
  function reach(x, y, erases) { // from where the stroke was, in pixels of the half
    const { before, cover, last } = stroke, [x0, y0] = last || [x, y];
    const dx = x - x0, dy = y - y0, length = dx * dx + dy * dy, r = radius() + 0.5;
    const value = erases || pressed(eraser) ? 0 : light.value / 100;
    stroke.last = [x, y];
    for (let i = 0; i < cover.length; i++) {
      const px = i % EDGE + 0.5 - startX - x0, py = Math.floor(i / EDGE) + 0.5 - startY - y0;
      const along = length && clamp((px * dx + py * dy) / length, 1);
      cover[i] = Math.max(cover[i], clamp(r - Math.hypot(px - along * dx, py - along * dy), 1));
    }
    change(drawing(before.map((old, i) => old + cover[i] * (value - old))));
  }
  function mark(x, y, size) { // the frame that shows where one is
    const [left, width] = [x, size].map((part) => 100 * part / canvas.width + "%");
    Object.assign(cursor.style, { left, width, top: 100 * y / canvas.height + "%" });
  }
  function follow(event) {
    if (!event.isPrimary) return; // a second finger
    if (event.type === "pointerdown") begin(canvas.setPointerCapture(event.pointerId));
    const box = canvas.getBoundingClientRect(), all = event.getCoalescedEvents?.() || [];
    for (const { clientX, clientY } of all.length ? all : [event]) {
      const x = (clientX - box.left) / box.width * canvas.width;
      const y = (clientY - box.top) / box.height * canvas.height;
      if (stroke) reach(x, y, event.buttons & 34); // the right button, or a pen's eraser
      mark(x - radius(), y - radius(), 2 * radius());
    }
  }
  function key(event) {
    const { key: name, altKey } = event, command = event.ctrlKey || event.metaKey;
    if (command && name === "z") back();
    else if (command || altKey || !(name in MOVES || name === "x" || name === " ")) return;
    else if (name in MOVES) {
      column = clamp(column + MOVES[name][0], canvas.width - 1);
      row = clamp(row + MOVES[name][1], canvas.height - 1);
    } else {
      begin();
      reach(column + 0.5, row + 0.5, name === "x");
      stroke = null;
    }
    event.preventDefault();
    event.stopPropagation(); // the page has keys of its own
    mark(column, row, 1);
    const grey = Math.round(100 * state.image[(row + startY) * EDGE + column + startX]);
    say("row " + (row + 1) + ", column " + (column + 1) + ", brightness " + grey + "%");
  }
  function save() { // all that is shown, side by side
    const shown = [...root.querySelectorAll(".try-stage figure:not([hidden]) canvas")];
    const [sheet, link] = ["canvas", "a"].map((tag) => document.createElement(tag));
    Object.assign(sheet, { width: 300 * shown.length, height: 280 });
    const pen = sheet.getContext("2d");
    pen.imageSmoothingEnabled = false;
    shown.forEach((part, k) => pen.drawImage(part, 300 * k, 0, 10 * part.width, 10 * part.height));
    Object.assign(link, { href: sheet.toDataURL(), download: "halfgen.png" }).click();
  }
  const toggle = (button) => button.setAttribute("aria-pressed", !pressed(button)) || redraw();
  const actions = { eraser: () => toggle(eraser), errors: () => toggle(errors), undo: back, save,
    mirror: () => replace(turned(state)), clear: () => replace(drawing(state.image.map(() => 0))) };
  find(".try-buttons").onclick = ({ target }) => actions[target.value]?.();
  light.oninput = () => { find("output").textContent = light.value + "%"; };
  Object.assign(canvas, { onpointerdown: follow, onpointermove: follow, onkeydown: key,
    onlostpointercapture: () => { stroke = null; }, onfocus: () => mark(column, row, 1),
    oncontextmenu: () => false });
  model.on("change:results", answer);
  model.on("change:images", load);
  model.on("msg:custom", (_, [sent]) => replace(drawing(units(bytesOf(sent)))));
  load();
  show();
  el.complete = (image) => networks.map((complete) => complete(image).image); // for tests
}

export default { render };
