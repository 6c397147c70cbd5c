// A slider that the browser itself makes: its label is its name for a screen reader, and all keys
// of a slider work. (ipywidgets' own slider has no name.)
function render({ model, el }) {
  const row = document.createElement("div"), input = document.createElement("input");
  const label = document.createElement("label"), shown = document.createElement("span");
  Object.assign(row.style, { display: "flex", gap: "6px", alignItems: "center", margin: "2px" });
  Object.assign(label.style, { display: "flex", gap: "6px", alignItems: "center" });
  label.append(model.get("description"), input);
  input.type = "range";
  shown.setAttribute("aria-hidden", "true"); // the slider itself says its value
  row.append(label, shown);
  el.append(row);

  function follow() {
    input.min = model.get("min");
    input.max = model.get("max"); // before the value, which the browser keeps within both
    input.value = model.get("value");
    input.disabled = model.get("disabled");
    shown.textContent = input.value;
  }

  input.addEventListener("input", () => {
    shown.textContent = input.value;
    model.set("value", Number(input.value));
    model.save_changes();
  });
  for (const name of ["min", "max", "value", "disabled"]) model.on(`change:${name}`, follow);
  follow();
}

export default { render };
