// Keeps keys in the control that has the focus: elsewhere in a cell's output JupyterLab acts on
// arrows and letters. Its mark has to be on the very element in focus.
document.addEventListener("focusin", ({ target }) => {
  if (target.closest(".halfgen-explorer")) target.setAttribute("data-lm-suppress-shortcuts", "true");
});

