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
document.documentElement.classList.add("scripted");
const folds = [...document.querySelectorAll("details.code")];
folds.forEach((fold) => { fold.open = true; });
if (folds.length) {
  const code = newButton("Show code", () => {
    const shown = document.documentElement.classList.toggle("with-code");
    code.setAttribute("aria-pressed", shown);
  });
  code.setAttribute("aria-pressed", false);
  tools.append(code);
}

// Headings can be linked to.
document.querySelectorAll("article :is(h2, h3, h4)[id]").forEach((head) => {
  const link = document.createElement("a");
  link.className = "permalink";
  link.href = "#" + head.id;
  link.textContent = "#";
  link.setAttribute("aria-label", "Link to this section");
  head.append(link);
});

// A figure fills the window, with its caption, when it is clicked or chosen by Enter or space.
const dialog = document.createElement("dialog");
dialog.className = "enlarged";
dialog.setAttribute("aria-label", "Enlarged figure");
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
document.body.append(dialog);
document.querySelectorAll("figure :is(img, .drawing)").forEach((picture) => {
  const words = picture.alt || picture.firstElementChild?.getAttribute("aria-label") || "figure";
  const enlarge = () => {
    const caption = document.createElement("p");
    const told = picture.closest("figure").querySelector("figcaption");
    if (told) caption.innerHTML = told.innerHTML;
    const copy = picture.cloneNode(true);
    ["role", "tabindex", "aria-label"].forEach((name) => copy.removeAttribute(name));
    const box = copy.firstElementChild?.viewBox?.baseVal;
    if (box) copy.style.setProperty("--shape", box.width / box.height);
    dialog.replaceChildren(newButton("Close \u00d7", () => dialog.close()), copy, caption);
    dialog.showModal();
  };
  picture.tabIndex = 0;
  picture.setAttribute("role", "button");
  picture.setAttribute("aria-label", words + " (enlarge)");
  picture.addEventListener("click", enlarge);
  picture.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); enlarge(); }
  });
});

// What a reference refers to is shown beside it while the pointer or the focus is there.
const preview = document.createElement("div");
preview.className = "preview";
preview.hidden = true;
document.body.append(preview);
let soon = 0;
const hide = () => { clearTimeout(soon); soon = setTimeout(() => { preview.hidden = true; }, 250); };
preview.addEventListener("mouseenter", () => clearTimeout(soon));
preview.addEventListener("mouseleave", hide);
document.querySelectorAll("article a[href^='#']").forEach((link) => {
  const target = document.getElementById(decodeURIComponent(link.hash.slice(1)));
  if (!target || !target.matches("figure, .equation, .csl-entry")) return;
  const show = () => {
    clearTimeout(soon);
    soon = setTimeout(() => {
      const copy = target.cloneNode(true);
      copy.removeAttribute("id");
      copy.querySelectorAll("[tabindex]").forEach((part) => part.removeAttribute("tabindex"));
      preview.replaceChildren(copy);
      preview.hidden = false;
      const at = link.getBoundingClientRect(), size = preview.getBoundingClientRect();
      const below = at.bottom + size.height + 8 < innerHeight || at.top < size.height + 8;
      preview.style.top = scrollY + (below ? at.bottom + 6 : at.top - size.height - 6) + "px";
      preview.style.left = Math.max(8, Math.min(at.left, innerWidth - size.width - 16)) + "px";
    }, 200);
  };
  link.addEventListener("mouseenter", show);
  link.addEventListener("focus", show);
  link.addEventListener("mouseleave", hide);
  link.addEventListener("blur", hide);
});
addEventListener("keydown", (event) => { if (event.key === "Escape") preview.hidden = true; });
