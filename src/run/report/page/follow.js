// While a training writes this page it is loaded again, and stays where it was.

const PLACE = `vae report ${location.pathname}`;
const keep = { step: () => null };
const kept = (() => {
  try {
    const reloaded = performance.getEntriesByType("navigation")[0]?.type === "reload";
    return reloaded ? JSON.parse(sessionStorage.getItem(PLACE)) : null;
  } catch {
    return null;
  }
})();
function remember() {
  try {
    const controls = [...document.querySelectorAll("input, [tabindex]")];
    sessionStorage.setItem(
      PLACE,
      JSON.stringify({ step: keep.step(), scroll: scrollY, focus: controls.indexOf(document.activeElement) }),
    );
  } catch {
    // Then the page begins at its top.
  }
}
function follow() {
  history.scrollRestoration = "manual";
  addEventListener("pagehide", remember);
  if (kept) {
    document.querySelectorAll("input, [tabindex]")[kept.focus]?.focus({ preventScroll: true });
    scrollTo(0, kept.scroll || 0);
  }
  if (!data.live) return;
  let held = false;
  addEventListener("pointerdown", () => (held = true));
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => (held = false));
  setInterval(() => {
    if (!document.hidden && !held && getSelection().isCollapsed) location.reload();
  }, 5000);
}

(data.groups ? pageOfRuns : pageOfRun)();
charts.forEach((draw) => draw());
follow();
