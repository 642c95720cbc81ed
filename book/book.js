// Small things that pages do for their readers. Nothing is asked of the network.
document.addEventListener("DOMContentLoaded", () => {
  // A button on each piece of code that copies it.
  const { copy = "copy", copied = "copied" } = document.querySelector("a.language")?.dataset ?? {};
  document.querySelectorAll(".bd-article .highlight").forEach((box) => {
    if (box.closest(".cell_output")) return;
    const button = document.createElement("button");
    button.className = "copy";
    button.textContent = copy;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(box.querySelector("pre").textContent);
      button.textContent = copied;
      setTimeout(() => (button.textContent = copy), 1500);
    });
    box.append(button);
  });

  // A figure of two panels is shown twice on a phone, the left half and the right half of it.
  document.querySelectorAll(".cell_output img.two-panels").forEach((image) => {
    const halve = () => {
      const second = image.cloneNode();
      image.classList.add("first-panel");
      second.className = "second-panel";
      second.alt = "";
      for (const half of [image, second])
        half.style.setProperty("--half", `${image.naturalWidth / 2} / ${image.naturalHeight}`);
      image.after(second);
    };
    image.complete && image.naturalWidth ? halve() : image.addEventListener("load", halve);
  });

  // What is wider than the screen shows that it goes on.
  const scrollers = document.querySelectorAll(
    '.bd-article :is(pre, table, .cell_output, mjx-container[display="true"])');
  const watch = new ResizeObserver((entries) => entries.forEach(({ target }) => show(target)));
  const show = (box) => box.classList.toggle(
    "goes-on", box.scrollWidth - box.clientWidth - box.scrollLeft > 8);
  scrollers.forEach((box) => {
    box.addEventListener("scroll", () => show(box), { passive: true });
    watch.observe(box);
  });

  // What the search shows of a page: its words, without formulas in LaTeX.
  if (typeof Search !== "undefined" && Search.htmlToText) {
    const plain = Search.htmlToText;
    Search.htmlToText = (html, anchor) =>
      plain(html.replace(/<(span|div)[^>]*class="[^"]*\bmath\b[^>]*>[^<]*<\/\1>/g, " … "), anchor);
  }
});

// The state of an explorable stands in the address, as #batch?gamma=2, so that one can send it.
const restore = (frame) => {
  const [name, state] = location.hash.slice(1).split("?");
  if (name !== frame.dataset.name || state === undefined) return;
  frame.contentWindow.postMessage({ state }, "*");
  frame.scrollIntoView();
};
const explorables = () => [...document.querySelectorAll("iframe.explorable")];
window.addEventListener("hashchange", () => explorables().forEach(restore));
window.addEventListener("message", ({ data, source }) => {
  const frame = explorables().find(({ contentWindow }) => contentWindow === source);
  if (!frame || !data?.explorable) return;
  frame.dataset.name = data.explorable;
  if ("state" in data) history.replaceState(null, "", `#${data.explorable}?${data.state}`);
  else restore(frame); // it has just begun
});
