// Each figure gives way to its live form once that works; print still shows the figure.
for (const script of document.querySelectorAll('script[data-component="NAME"]')) {
  const figure = document.getElementById(script.dataset.figure), el = document.createElement("div");
  const data = { ...JSON.parse(script.textContent), html: document.getElementById("NAME").innerHTML };
  render({ el, model: { get: (name) => data[name], set() {}, save_changes() {}, on() {} } });
  el.className = "live breakout";
  figure.before(el);
  figure.hidden = true;
}
