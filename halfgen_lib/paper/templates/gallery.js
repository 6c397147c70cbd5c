// A gallery shows one page at a time: buttons, a list of the pages, and the arrow keys turn them.
document.querySelectorAll("figure.gallery").forEach((gallery) => {
  const pages = [...gallery.querySelectorAll(".page")];
  if (pages.length < 2) return;
  const list = document.createElement("select");
  list.setAttribute("aria-label", "Page of the gallery");
  pages.forEach((page) => list.add(new Option(page.getAttribute("aria-label"))));
  const place = document.createElement("span");
  place.setAttribute("aria-live", "polite");
  let current = 0;
  const turn = (to) => {
    current = (to + pages.length) % pages.length;
    pages.forEach((page, i) => { page.hidden = i !== current; });
    list.selectedIndex = current;
    place.textContent = (current + 1) + " of " + pages.length;
  };
  list.addEventListener("change", () => turn(list.selectedIndex));
  gallery.addEventListener("keydown", (event) => {
    if (event.target === list) return;
    const to = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    // a key pressed on a picture that now hides would leave the focus nowhere
    if (event.target.closest(".page")) list.focus();
    turn(to);
  });
  const pager = document.createElement("div");
  pager.className = "pager";
  pager.setAttribute("role", "group");
  pager.setAttribute("aria-label", "Pages of the gallery");
  pager.append(newButton("Previous", () => turn(current - 1)), list,
    newButton("Next", () => turn(current + 1)), place);
  gallery.prepend(pager);
  turn(0);
});
