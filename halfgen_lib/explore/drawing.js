// A grid of grey pixels. Pointer: press and drag. Keys: arrows move, space paints, x erases.
const SIZE = 12; // CSS pixels a square

function element(kind, attributes, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function bytes(view) {
  return new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

function render({ model, el }) {
  const rows = model.get("rows"), columns = model.get("columns");
  const canvas = element("canvas", {
    width: columns * SIZE, height: rows * SIZE, tabindex: 0, role: "application",
    "aria-label": `left half to draw on, ${rows} rows of ${columns} pixels: arrow keys move, ` +
      "space paints, x erases",
    style: "touch-action:none; cursor:crosshair; border:1px solid currentColor",
  });
  const brush = element("input", { type: "range", min: 0, max: 255, value: 255 });
  const clear = element("button", { type: "button" }, "clear");
  const restart = element("button", { type: "button" }, "start again");
  const status = element("span", { role: "status" });
  const help = element("span", {}, "press and drag; or arrow keys, space paints, x erases");
  el.append(
    canvas,
    element("div", { style: "display:flex; gap:8px; flex-wrap:wrap; max-width:340px" },
      element("label", {}, "brightness ", brush), clear, restart, help, status),
  );

  let pixels = bytes(model.get("value"));
  let row = rows >> 1, column = columns >> 1, focused = false, saving = 0;

  function show() {
    const pen = canvas.getContext("2d");
    pixels.forEach((grey, i) => {
      pen.fillStyle = `rgb(${grey},${grey},${grey})`;
      pen.fillRect((i % columns) * SIZE, Math.floor(i / columns) * SIZE, SIZE, SIZE);
    });
    if (focused) {
      pen.strokeStyle = "#D55E00";
      pen.lineWidth = 2;
      pen.strokeRect(column * SIZE + 1, row * SIZE + 1, SIZE - 2, SIZE - 2);
    }
  }

  function send() { // one message a moment: a stroke passes many pixels
    if (saving) return;
    saving = setTimeout(() => {
      saving = 0;
      model.set("value", new DataView(pixels.slice().buffer));
      model.save_changes();
    }, 60);
  }

  function replace(content) {
    pixels = content;
    show();
    send();
  }

  function paint(grey) {
    pixels[row * columns + column] = grey;
    show();
    send();
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    const x = (event.clientX - box.left - 1) / SIZE, y = (event.clientY - box.top - 1) / SIZE;
    column = Math.min(columns - 1, Math.max(0, Math.floor(x)));
    row = Math.min(rows - 1, Math.max(0, Math.floor(y)));
    paint(Number(brush.value));
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    place(event);
  });
  canvas.addEventListener("pointermove", (event) => event.buttons && place(event));
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const move = moves[event.key];
    if (move) {
      row = Math.min(rows - 1, Math.max(0, row + move[0]));
      column = Math.min(columns - 1, Math.max(0, column + move[1]));
      show();
    } else if (event.key === " ") paint(Number(brush.value));
    else if (event.key === "x") paint(0);
    else return;
    event.preventDefault();
    event.stopPropagation();
    status.textContent =
      `row ${row + 1}, column ${column + 1}: grey ${pixels[row * columns + column]}`;
  });
  for (const kind of ["focus", "blur"]) {
    canvas.addEventListener(kind, () => {
      focused = kind === "focus";
      show();
    });
  }
  clear.addEventListener("click", () => replace(new Uint8Array(rows * columns)));
  restart.addEventListener("click", () => replace(bytes(model.get("start"))));
  show();
}

export default { render };
