// Everything in the scripts is a convenience: the page reads the same with scripts off.
// (They pass through pandoc's templates, in which a dollar sign would be a variable.)
function newButton(text, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.addEventListener("click", () => act(button));
  return button;
}

// Contents: folded on narrow windows; the section that is being read is marked.
const toc = document.querySelector("details.toc");
if (toc) {
  const wide = matchMedia("(min-width: 68rem)");
  const follow = () => { toc.open = wide.matches; };
  follow();
  wide.addEventListener("change", follow);
  toc.addEventListener("click", (event) => {
    if (event.target.closest("a") && !wide.matches) toc.open = false;
  });
  const links = new Map([...toc.querySelectorAll("a")].map((a) => [a.hash.slice(1), a]));
  const heads = [...document.querySelectorAll("article :is(h2, h3, h4)[id]")];
  const mark = () => {
    const seen = heads.filter((h) => h.getBoundingClientRect().top < 120 && links.has(h.id));
    const now = seen.length ? links.get(seen[seen.length - 1].id) : null;
    links.forEach((a) => {
      if (a === now) a.setAttribute("aria-current", "true");
      else a.removeAttribute("aria-current");
    });
    if (now && wide.matches) now.scrollIntoView({ block: "nearest" });
  };
  addEventListener("scroll", mark, { passive: true });
  mark();
}

// Under the title: dark or light, whatever the system says, and all code at once.
const tools = document.createElement("p");
tools.className = "tools";
document.querySelector(".title-block").append(tools);
const dark = newButton("Dark colours", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  tell();
});
const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (system.matches ? "dark" : "")) === "dark";
const tell = () => dark.setAttribute("aria-pressed", isDark());
system.addEventListener("change", tell);
tell();
tools.append(dark);
const folds = [...document.querySelectorAll("details.code")];
if (folds.length) {
  tools.append(newButton("Show all code", (button) => {
    const open = button.textContent === "Show all code";
    folds.forEach((fold) => { fold.open = open; });
    button.textContent = open ? "Hide all code" : "Show all code";
  }));
}

// A figure fills the window when it is clicked, or chosen with Enter or the space bar.
const dialog = document.createElement("dialog");
dialog.className = "enlarged";
dialog.setAttribute("aria-label", "Enlarged figure; press Escape to close");
dialog.addEventListener("click", () => dialog.close());
document.body.append(dialog);
document.querySelectorAll("figure img").forEach((img) => {
  const enlarge = () => {
    const copy = document.createElement("img");
    copy.src = img.src;
    copy.alt = img.alt;
    dialog.replaceChildren(copy);
    dialog.showModal();
  };
  img.tabIndex = 0;
  img.setAttribute("role", "button");
  img.setAttribute("aria-label", img.alt + " (enlarge)");
  img.addEventListener("click", enlarge);
  img.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); enlarge(); }
  });
});
addEventListener("beforeprint", () => folds.forEach((fold) => { fold.open = false; }));
