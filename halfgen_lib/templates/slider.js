// A slider that the browser itself makes: its label is its name for a screen reader, and all keys
// of a slider work. (ipywidgets' own slider has no name.)
function render({ model, el }) {
  const label = document.createElement("label"), input = document.createElement("input");
  const shown = document.createElement("output");
  label.append(model.get("description") + " ", input);
  Object.assign(label.style, { display: "flex", gap: "4px", alignItems: "center" });
  Object.assign(el.style, { display: "flex", gap: "4px", alignItems: "center", margin: "2px" });
  input.type = "range";
  shown.style.minWidth = "2.5em";
  el.setAttribute("data-lm-suppress-shortcuts", "true"); // or JupyterLab acts on the arrow keys
  el.append(label, shown);

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
