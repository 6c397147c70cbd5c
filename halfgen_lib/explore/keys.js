// Keeps keys in the control that has the focus: elsewhere in a cell's output JupyterLab acts on
// arrows and letters. Its mark has to be on the very element in focus.
function render({ el }) {
  function listen() {
    const panel = el.closest(".halfgen-panel");
    if (!panel) return requestAnimationFrame(listen); // not on the page yet
    panel.addEventListener("focusin", (event) =>
      event.target.setAttribute("data-lm-suppress-shortcuts", "true"));
  }
  listen();
}

export default { render };
