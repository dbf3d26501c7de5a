// Keeps the page new: every few seconds the same page again, and what is different put in its place.
//
// Section by section, so that a text that is being marked, an opened detail or the focus stays where
// nothing has changed. If the service does not answer, the page says so: an old "all is well" is a lie.
"use strict";

const PATIENCE_MS = 10000;
const every = 1000 * Number(document.body.dataset.refresh);

function keepOpened(before, after) {
  for (const details of before.querySelectorAll("details[id]")) {
    const same = after.querySelector(`#${CSS.escape(details.id)}`);
    if (same) same.open = details.open;
  }
}

function isBusy(element) {
  const selection = document.getSelection();
  return !selection.isCollapsed && selection.containsNode(element, true);
}

function exchange(before, after) {
  const focus = before.contains(document.activeElement) && document.activeElement.getAttribute("href");
  before.replaceWith(after);
  if (focus) after.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus({preventScroll: true});
}

// The content of `before` becomes that of `after`, reusing every section that says the same.
function take(before, after) {
  keepOpened(before, after);
  const old = [...before.children];
  const now = [...after.children];
  if (old.length === now.length && old.every((element, n) => element.id === now[n].id)) {
    old.forEach((element, n) => {
      if (!element.isEqualNode(now[n]) && !isBusy(element)) exchange(element, document.adoptNode(now[n]));
    });
  } else {
    before.replaceChildren(...now.map((element) => document.adoptNode(element)));
  }
}

function stale(is) {
  document.getElementById("stale").hidden = !is;
  document.body.classList.toggle("old", is);
}

async function refresh() {
  try {
    const answer = await fetch(location.href, {cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS)});
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!fresh.getElementById("main")) throw new Error("not our page");
    document.title = fresh.title;
    const icon = document.querySelector("link[rel=icon]");
    const newIcon = fresh.querySelector("link[rel=icon]").getAttribute("href");
    if (icon.getAttribute("href") !== newIcon) icon.setAttribute("href", newIcon);
    take(document.getElementById("main"), fresh.getElementById("main"));
    take(document.getElementById("footer"), fresh.getElementById("footer"));
    stale(false);
  } catch {
    stale(true);
  }
  setTimeout(refresh, every);
}

setTimeout(refresh, every);
