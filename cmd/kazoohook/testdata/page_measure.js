// What is wrong with how the page looks now, as sentences; run in the page.
(() => {
  const problems = new Set();
  const name = (e) => `${e.tagName.toLowerCase()}${e.id ? `#${e.id}` : ""}${e.classList.length > 0 ? `.${[...e.classList].join(".")}` : ""}`;
  const shown = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const short = (s) => JSON.stringify(s.trim().replace(/\s+/g, " ").slice(0, 50));
  const styles = new Map();
  const style = (e) => styles.get(e) ?? (styles.set(e, getComputedStyle(e)), styles.get(e));

  // Colours of any notation, as a canvas shows them.
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const pixels = new Map();
  const rgba = (text) => {
    if (!pixels.has(text)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      pixels.set(text, [r, g, b, a / 255]);
    }
    return pixels.get(text);
  };
  const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a), 1];
  const background = (e) => {
    const layers = [];
    for (; e; e = e.parentElement) {
      const c = rgba(style(e).backgroundColor);
      if (c[3] > 0) layers.push(c);
      if (c[3] === 1) break;
    }
    return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const contrast = (what, colour, e, least) => {
    const below = background(e);
    const r = ratio(over(rgba(colour), below), below);
    if (r < least - 0.005) problems.add(`contrast ${r.toFixed(2)} of ${what} in ${name(e)}`);
  };

  if (document.documentElement.scrollWidth > innerWidth) problems.add(`the page is ${document.documentElement.scrollWidth} px wide in ${innerWidth}`);

  // Each text is within what holds it, or can be scrolled to, or says in its title
  // what was cut off.
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n = walker.nextNode(); n; n = walker.nextNode()) {
    const e = n.parentElement;
    if (n.data.trim() === "" || !shown(e) || e.closest(".sr, .skip, noscript, option, title")) continue;
    const range = document.createRange();
    range.selectNodeContents(n);
    contrast(short(n.data), e instanceof SVGElement ? style(e).fill : style(e).color, e, 4.5);
    for (const box of range.getClientRects()) {
      if (box.width < 1) continue;
      let seen = true, positioned = document.body;
      for (let a = e; a && a !== document.documentElement; a = a.parentElement) {
        const s = style(a);
        const edge = a.getBoundingClientRect();
        const out = box.left < edge.left - 1.5 || box.right > edge.right + 1.5 || box.top < edge.top - 4 || box.bottom > edge.bottom + 4;
        if (["auto", "scroll"].includes(s.overflowX) || ["auto", "scroll"].includes(s.overflowY)) {
          if (out) seen = false;
          if (a.scrollWidth > a.clientWidth + 1 && !a.closest(".scroll, pre")) problems.add(`${name(a)} must be scrolled sideways`);
          positioned = a;
          break;
        }
        if (s.overflowX !== "visible") {
          if (out && !(a.closest("[title]")?.title || a.closest(".view") === a)) problems.add(`${short(n.data)} is cut off in ${name(a)}, and no title has all of it`);
          if (out) seen = false;
        } else if (out && seen && s.display !== "inline" && s.display !== "contents") {
          problems.add(`${short(n.data)} runs out of ${name(a)}`);
        }
        if (["absolute", "fixed", "sticky"].includes(s.position)) {
          positioned = a;
          break;
        }
      }
      if (seen) texts.push({ box, e, positioned, text: n.data });
    }
  }
  texts.forEach((a, i) => {
    for (const b of texts.slice(i + 1)) {
      if (a.positioned !== b.positioned || a.e.contains(b.e) || b.e.contains(a.e)) continue;
      const w = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
      const h = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
      if (w > 2 && h > 4) problems.add(`${short(a.text)} and ${short(b.text)} lie on each other`);
    }
  });

  for (const e of document.querySelectorAll("input[placeholder]")) {
    if (!shown(e)) continue;
    contrast("a placeholder", getComputedStyle(e, "::placeholder").color, e, 4.5);
    canvas.font = style(e).font;
    const room = e.clientWidth - parseFloat(style(e).paddingLeft) - parseFloat(style(e).paddingRight);
    if (canvas.measureText(e.placeholder).width > room + 1) problems.add(`the placeholder ${short(e.placeholder)} is cut off`);
  }
  // Marks of which the colour says something.
  for (const e of document.querySelectorAll(".dot, .beacon")) {
    if (shown(e)) contrast("a dot", style(e).backgroundColor, e.parentElement, 3);
  }
  for (const e of document.querySelectorAll(".part")) contrast("a bar", style(e).fill, e.closest(".card"), 3);
  const legend = [...document.querySelectorAll("#legend .dot")].map((e) => style(e).backgroundColor);
  if (new Set(legend).size < legend.length) problems.add("two families of the chart have one colour");

  // A grid of facts has no row that is half empty.
  for (const grid of document.querySelectorAll(".facts")) {
    if (!shown(grid)) continue;
    const columns = style(grid).gridTemplateColumns.split(" ").length;
    if (grid.childElementCount % columns !== 0) problems.add(`${grid.childElementCount} facts in ${columns} columns`);
  }

  // Everything that can be used has a name, and room for a finger.
  for (const e of document.querySelectorAll("button, input, select, a[href], summary, [tabindex='0']")) {
    if (!shown(e) || e.closest(".skip")) continue;
    const label = e.getAttribute("aria-label") || document.getElementById(e.getAttribute("aria-labelledby"))?.textContent || e.labels?.[0]?.textContent || e.textContent;
    if (!label?.trim()) problems.add(`${name(e)} has no name`);
    const box = e.getBoundingClientRect();
    if (box.height < 20 || box.width < 20) problems.add(`${name(e)} is ${Math.round(box.width)} by ${Math.round(box.height)} px`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => problems.add(`two elements have the id ${id}`));
  for (const attribute of ["aria-labelledby", "aria-describedby", "aria-activedescendant"]) {
    for (const e of document.querySelectorAll(`[${attribute}]`)) {
      if (!document.getElementById(e.getAttribute(attribute)) && shown(e)) problems.add(`${name(e)}: ${attribute} names nothing`);
    }
  }
  return [...problems];
})()
