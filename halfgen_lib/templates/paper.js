// Everything here is a convenience: the page reads the same with scripts off.
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
  };
  addEventListener("scroll", mark, { passive: true });
  mark();
}
const folds = [...document.querySelectorAll("details.code")];
if (folds.length) {
  const button = document.createElement("button");
  button.className = "all-code";
  button.textContent = "Show all code";
  button.addEventListener("click", () => {
    const open = button.textContent === "Show all code";
    folds.forEach((fold) => { fold.open = open; });
    button.textContent = open ? "Hide all code" : "Show all code";
  });
  document.querySelector(".title-block").append(button);
}
const dialog = document.createElement("dialog");
dialog.className = "enlarged";
dialog.setAttribute("aria-label", "Enlarged figure; press Escape to close");
dialog.addEventListener("click", () => dialog.close());
document.body.append(dialog);
document.querySelectorAll("figure img").forEach((img) => {
  const enlarge = () => { dialog.replaceChildren(img.cloneNode()); dialog.showModal(); };
  img.tabIndex = 0;
  img.setAttribute("role", "button");
  img.setAttribute("aria-label", img.alt + " (enlarge)");
  img.addEventListener("click", enlarge);
  img.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); enlarge(); }
  });
});
addEventListener("beforeprint", () => folds.forEach((fold) => { fold.open = false; }));
