// The charts, drawn again by Vega when they come into view, so that their marks answer. Until then, and wherever that
// fails, the pictures that were drawn when the page was written stay.
function makeCharts() {
  const section = byId('numerics'), drawn = new Map();
  if (!section || !byId('vega')) return;
  const drawings = [...section.querySelectorAll('.drawing')];
  const format = byId('chart-format'), backend = byId('chart-backend');
  const said = el('div', { id: 'pointed', 'aria-hidden': 'true', hidden: true });
  document.body.append(said);
  let specs = null;

  async function load() {
    const [script, read] = await Promise.all([inflated('vega').then(it => it.text()), inflated('charts').then(it => it.json())]);
    document.head.append(el('script', {}, script)); // the policy has its hash
    return read;
  }

  // What is chosen, of all that a chart shows. A row that is of no backend belongs to its framework.
  function chosen(spec) {
    const of = row => !backend.value || row.backend === backend.value || row.other === backend.value;
    const rows = spec.data.values.filter(row => row.backend && of(row));
    const frameworks = new Set(rows.map(row => row.framework));
    const values = spec.data.values
      .filter(row => row.backend ? of(row) : frameworks.has(row.framework))
      .map(row => row.kind === 'strip' && format.value ? { ...row, format: format.value } : row)
      .filter(row => !format.value || row.format === format.value);
    const wider = format.value && typeof spec.spec.width === 'number' ? { width: 2 * spec.spec.width } : {};
    return { ...spec, data: { values }, spec: { ...spec.spec, ...wider } };
  }

  function say(event, item) {
    const text = item && item.mark.marktype !== 'line' && item.datum && item.datum.said;
    said.hidden = !text;
    if (!text) return;
    said.textContent = text;
    const right = event.clientX + 14, below = event.clientY + 14;
    said.style.left = Math.max(0, Math.min(right, window.innerWidth - said.offsetWidth - 8)) + 'px';
    said.style.top = (below + said.offsetHeight > window.innerHeight ? event.clientY - said.offsetHeight - 8 : below) + 'px';
  }

  async function draw(drawing) {
    specs ||= load();
    const spec = chosen((await specs)[drawing.dataset.chart]);
    // A panel of nothing has a row too, of a backend, and a cliff is there without one.
    if (!spec.data.values.some(row => row.backend && row.said)) {
      drawing.replaceChildren('Nothing of this choice is in this chart.');
      return;
    }
    const made = el('div', { 'aria-hidden': 'true' }); // what it shows is in the table
    const { view, finalize } = await window.lossparityEmbed(made, spec,
      { mode: 'vega-lite', ast: true, renderer: 'svg', actions: false, defaultStyle: false, tooltip: false });
    view.addEventListener('mousemove', say);
    view.addEventListener('mouseout', () => { said.hidden = true; });
    view.addEventListener('click', (event, item) => {
      const to = item && item.mark.marktype !== 'line' && item.datum && item.datum.address;
      if (!to) return;
      said.hidden = true;
      location.hash = to;
    });
    drawn.get(drawing)?.();
    drawn.set(drawing, finalize);
    drawing.replaceChildren(made);
  }

  const begin = drawing => draw(drawing).catch(error => { drawing.title = `Only the still picture: ${error.message}`; });
  const seen = new IntersectionObserver(entries => {
    for (const { target } of entries.filter(entry => entry.isIntersecting)) {
      seen.unobserve(target);
      begin(target);
    }
  });
  drawings.forEach(drawing => seen.observe(drawing));
  for (const select of [format, backend]) select.addEventListener('change', () => drawings.forEach(begin));
}
