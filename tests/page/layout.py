"""What a layout must not do: wider than its window, texts over each other, texts cut off."""

FAULTS = r"""
() => {
  const faults = [];
  const say = (what, node) => faults.push(what + ": " +
    (node.id || node.className || node.tagName) + " in #" + (node.closest("[id]")?.id ?? "") +
    " '" + node.textContent.trim().slice(0, 30) + "'");
  if (document.documentElement.scrollWidth > innerWidth)
    faults.push(`page is ${document.documentElement.scrollWidth} wide in ${innerWidth}`);
  const scrolls = node => {
    for (let at = node; at; at = at.parentElement)
      if (/auto|scroll/.test(getComputedStyle(at).overflowX)) return true;
    return false;
  };
  for (const node of document.body.querySelectorAll("*")) {
    const style = getComputedStyle(node);
    if (!node.offsetWidth || style.display === "inline" || node.closest(".aside, .skip, svg"))
      continue;
    const cut = style.overflowX === "hidden" || style.overflowX === "clip";
    if (!scrolls(node) && node.scrollWidth > node.clientWidth + 1 &&
        !node.matches("canvas, .frame, .all-heads, .track, .line"))
      say(cut ? "cut" : "spills", node);
    if (style.textOverflow === "ellipsis" && node.scrollWidth > node.clientWidth) say("cut", node);
  }
  const boxes = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode, parent = text.parentElement;
    if (!text.data.trim() || parent.closest(".aside, .skip, script, noscript, .tip, sub, sup"))
      continue;
    if (getComputedStyle(parent).visibility === "hidden") continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    const clip = parent.closest(".scroll, .rail, .text, .quote, ol")?.getBoundingClientRect();
    for (const whole of range.getClientRects()) {
      const left = Math.max(whole.left, clip?.left ?? whole.left);
      const top = Math.max(whole.top, clip?.top ?? whole.top);
      const box = new DOMRect(left, top, Math.min(whole.right, clip?.right ?? whole.right) - left,
        Math.min(whole.bottom, clip?.bottom ?? whole.bottom) - top);
      if (box.width < 1 || box.height < 1) continue;
      if (!scrolls(parent) && (box.left < -1 || box.right > innerWidth + 1)) say("outside", parent);
      boxes.push({ box, parent, text });
    }
  }
  boxes.sort((a, b) => a.box.top - b.box.top);
  for (let i = 0; i < boxes.length; ++i)
    for (let j = i + 1; j < boxes.length; ++j) {
      const a = boxes[i].box, b = boxes[j].box;
      if (b.top > a.bottom) break;
      if (boxes[i].text === boxes[j].text) continue;
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 2 && high > Math.max(3, 0.35 * Math.min(a.height, b.height)))
        faults.push(`overlap: '${boxes[i].text.data.slice(0, 20)}' and ` +
          `'${boxes[j].text.data.slice(0, 20)}' in #${boxes[i].parent.closest("[id]")?.id} by ` +
          `${wide.toFixed(0)} x ${high.toFixed(0)}`);
    }
  return faults.slice(0, 12);
}
"""


def faults_of(page):
    """In words; empty when all is well. What scrolls is put where it begins."""
    page.evaluate("""() => {
      scrollTo({ top: 0, behavior: "instant" });
      document.querySelectorAll(".scroll").forEach(node => { node.scrollLeft = 0; });
    }""")
    return page.evaluate(FAULTS)


UNNAMED = r"""
() => [...document.querySelectorAll("button, input, a, [tabindex='0'], [role]")].filter(node => {
  const labels = node.labels ? [...node.labels].map(label => label.textContent).join("") : "";
  return !(node.getAttribute("aria-label") || labels || node.textContent).trim();
}).map(node => node.outerHTML.slice(0, 80))
"""


def unnamed(page):
    """What a screen reader would have no name for."""
    return page.evaluate(UNNAMED)


PALE = r"""
() => {
  const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const numbers = colour => colour.match(/[\d.]+/g).map(Number);
  const behind = node => {
    for (let at = node; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0.5) return colour;
    }
    return [255, 255, 255];
  };
  const pale = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.offsetWidth) continue;
    if (node.closest(":disabled, .aside, .skip, script, noscript, .tip")) continue;
    const a = luminance(numbers(getComputedStyle(node).color)), b = luminance(behind(node));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) pale.add(`${contrast.toFixed(2)} ${node.className || node.tagName} ` +
      `in .${node.parentElement.className}`);
  }
  return [...pale].slice(0, 8);
}
"""


def pale(page):
    """Texts whose contrast is below WCAG's 4.5."""
    return page.evaluate(PALE)
