// One check: what was asked, who did it, what is right, what came, how far off, and what the others did.
function makeCheck(data, words, changes) {
  const cases = new Map(data.cases.map(c => [c.id + '\n' + c.format, c]));
  const causes = new Map(data.causes.map(c => [c.id, c]));
  const reproduced = makeReproducers(data, words);
  const byCheck = once(() => group(r => r.check)), byCase = once(() => group(sameCase)); // not for the list

  function sameCase(r) {
    return r.case + '\n' + r.format + '\n' + r.quantity;
  }

  function group(key) {
    const map = new Map();
    for (const r of data.results) {
      if (!map.has(key(r))) map.set(key(r), []);
      map.get(key(r)).push(r);
    }
    return map;
  }

  const caseOf = r => cases.get(r.case + '\n' + r.format);
  const formatOf = r => words.formats[r.format];

  function exactOf(r) { // the payload names the choice where the case holds the same values
    if (typeof r.got.exact !== 'string') return r.got.exact;
    return caseOf(r).exact[r.quantity][r.got.exact].values.slice(r.got.start, r.got.start + r.got.got.length);
  }

  const size = shape => shape.reduce((n, extent) => n * extent, 1);
  const publishedOf = r => r.quantity === 'value' && caseOf(r) && caseOf(r).published || [];
  const hasColumn = r => Boolean(r.got) && publishedOf(r).length > 0 && publishedOf(r).length === size(r.shape || []);

  const numbers = (text, format, exact) => td('num', decimalText(text, format, exact), text);

  function excerpt(name, a) {
    const format = words.formats[a.format], last = a.shape.length ? a.shape[a.shape.length - 1] : 1;
    const total = size(a.shape);
    const rows = [];
    for (let at = 0; at < a.values.length; at += last || 1) {
      rows.push(el('span', { class: 'row' }, a.values.slice(at, at + (last || 1)).map(v =>
        el('span', { title: v }, decimalText(v, format)))));
    }
    const cut = total > a.values.length ? note(`the first ${a.values.length} of ${total}`) : null;
    return [el('span', { class: 'shape' }, `${a.format} [${a.shape.join(', ')}]`), el('span', { class: 'array', tabindex: '0', role: 'group', 'aria-label': name }, rows), cut];
  }

  function asked(r) {
    const clause = words.clauses[r.clause], c = caseOf(r);
    return el('section', {}, el('h3', {}, 'What is asked'), terms([
      ['clause', clause ? `${r.clause}: ${clause.text}` : r.clause],
      ['kind', clause && [clause.kind, note(words.kinds[clause.kind] || '')]],
      ['basis', r.basis && [r.basis, note(words.bases[r.basis] || '')]],
      ['operation', r.operation],
      ['format', r.format],
      ['keywords', c && Object.entries(c.keywords).map(([k, v]) => `${k}=${v}`).join(', ')],
      ['calls', c && (c.how || []).map(line => el('div', {}, line))],
      ['about the case', c && c.about],
      ['the case is from', c && c.link && linked(c.link)],
      ['source', c && c.source && el('code', {}, c.source)],
    ]));
  }

  function asker(r) {
    return el('section', {}, el('h3', {}, 'Who did it'), terms([
      ['backend', r.backend],
      ['API called', r.api && el('code', {}, r.api)],
      ['origin', [r.origin || 'not recorded', note(words.origins[r.origin || ''] || '')]],
      ['outcome', r.outcome],
      ['inputs’ hash', r.input_hash && el('code', {}, r.input_hash)],
    ]));
  }

  // A record may come from a stranger: only an address of the web is a link.
  const linked = text => text.startsWith('https://') ? el('a', { href: text, rel: 'noreferrer' }, text) : el('code', {}, text);

  function inputs(r) {
    const c = caseOf(r);
    if (!c) return el('section', {}, el('h3', {}, 'Inputs'), el('p', {}, 'The record holds no inputs of this check.'));
    const recipes = { ...c.recipes };
    return el('section', {}, el('h3', {}, 'Inputs'),
      el('p', { class: 'lead' }, 'The exact numbers that went in, already rounded to the format; their hex is in the tooltip.'),
      terms(Object.entries(c.inputs).map(([name, a]) => [name, [...excerpt(name, a), recipes[name] ? note('recipe: ' + recipes[name]) : null]])));
  }

  function bounds(r) {
    const w = r.worst, format = formatOf(r);
    if (!w || !format) return null;
    const got = parseNumber(w.got), exact = parseNumber(w.exact), unit = spacing(Number.isFinite(exact) ? exact : 1, format);
    const error = Number.isFinite(got) && Number.isFinite(exact) ? Math.abs(got - exact) : null;
    const model = words.bounds[format.bits === 16 ? 'narrow' : 'wide'];
    const line = (name, distance, ulps, why) => el('tr', {}, rowHead('', name), td('num', short(distance)), td('num', short(ulps)),
      td('num', distance && error !== null && name !== 'error' ? short(error / distance) : '–'), td('text', why));
    const inUlp = distance => distance === null || distance === undefined ? null : distance / unit;
    const same = w.tight === w.loose; // of so few terms that their order makes no difference
    const lines = same ? [line('bound', w.loose, inUlp(w.loose), `${model[0]}; tight and loose are the same here`)] :
      [line('tight bound', w.tight, inUlp(w.tight), model[0]), line('loose bound', w.loose, inUlp(w.loose), model[1])];
    return [table(`Why this bound: the worst element, ${placeText(w.index)}`,
      [['distance', ''], ['absolute', 'num'], ['in ulp', 'num'], ['error / bound', 'num'], ['what it stands for', 'text']], [
        line('error', error, r.ulp ?? inUlp(error), error === null ? 'not a distance: the classes differ' : 'distance from the exact value'),
        ...lines,
      ], { class: 'bounds' }),
    el('p', { class: 'lead' }, 'No tolerance was picked: a bound is derived for each element, from its inputs, its format and the order of the arithmetic.'),
    w.made_of ? el('p', {}, el('b', {}, 'What it is made of: '), w.made_of) : null];
  }

  function elements(r) {
    if (!r.got) return null;
    const format = formatOf(r), exact = exactOf(r), shape = r.shape || [];
    const worst = r.worst ? flatIndex(r.worst.index, shape) : -1;
    const total = size(shape), printed = publishedOf(r), published = hasColumn(r);
    const rows = r.got.got.map((got, i) => {
      const flat = r.got.start + i;
      return el('tr', { class: flat === worst ? 'worst' : null },
        rowHead('num', [placeText(unravel(flat, shape)), ...(flat === worst ? [' ', el('span', { class: 'mark' }, 'worst')] : [])]),
        numbers(exact[i], format, true), numbers(got, format), td('num', flat === worst && r.ulp !== undefined ? short(r.ulp) : distance(got, exact[i], format)),
        published ? td('num', printed[flat]) : null);
    });
    const part = rows.length < total ? `, ${rows.length} of ${total} elements` : '';
    return table(`Element by element${part}`,
      [['index', 'num'], ['exact', 'num'], ['got', 'num'], ['error, ulp', 'num'], ...(published ? [['published', 'num']] : [])], rows, { class: 'elements' });
  }

  function permitted(r) {
    const c = caseOf(r), choices = c && c.exact[r.quantity] ? Object.entries(c.exact[r.quantity]) : [];
    if (choices.length < 2 && r.got) return null;
    const term = name => choices.length > 1 ? `permitted: ${name || 'the formula'}` : 'exact';
    return choices.map(([name, a]) => [term(name), excerpt(term(name), a)]);
  }

  function others(r) {
    const same = byCase().get(sameCase(r));
    if (same.length < 2) return null;
    const flat = r.worst ? flatIndex(r.worst.index, r.shape || []) : r.got ? r.got.start : -1;
    const at = flat < 0 || !(r.shape || []).length ? '' : ` at ${placeText(unravel(flat, r.shape || []))}`;
    return table('The same case on every backend', [['backend', ''], ['origin', ''], ['verdict', ''], ['grade', ''], ['ulp', 'num'],
      ['error / bound', 'num'], ['choice', ''], ['got' + at, 'num']], same.map(o => {
      const got = o.got && flat >= 0 ? o.got.got[flat - o.got.start] : undefined;
      const name = o === r ? el('b', {}, o.backend) : el('a', { href: addressOf({ ...readAddress(), check: o.check }) }, o.backend);
      return el('tr', { class: o === r ? 'self' : null }, rowHead('', name), td('', o.origin || '–'), td('', tag(o.verdict)), td('', o.grade || '–'),
        td('num', short(o.ulp)), td('num', short(o.bound_used)), td('', o.choice || '–'), numbers(got, formatOf(o)));
    }));
  }

  function why(r) { // its cause is what explains the most of the run; other explanations may fit this result as well
    const cause = causes.get(r.diagnosis), nearness = e => e.ulp === undefined ? '' : `to ${short(e.ulp)} ulp`;
    const all = r.explained || [], chosen = all.filter(e => e.id === r.diagnosis), others = all.filter(e => e.id !== r.diagnosis);
    const near = chosen.map(nearness).join('');
    return [
      ['cause', cause && [el('b', {}, cause.id), cause.said === r.message ? null : note(cause.said), near ? note('explained ' + near) : null]],
      [cause ? 'also fits' : 'explained by', others.map(e => note([e.id, nearness(e)].filter(Boolean).join(', ')))],
      ['not it alone', r.shared && 'the framework’s own function fails there too'],
      ['intended?', cause && cause.convention && ['judge by it: ', el('code', { class: 'command nowrap' }, '--convention ' + quoted(cause.convention))]],
    ];
  }

  function outcome(r) { // the outcome in a line, of what does not simply pass
    const w = r.worst, format = formatOf(r);
    if (r.verdict === 'pass') return null;
    const share = r.bound_used ? `, ${short(r.bound_used)} times the bound` : '';
    const off = w && format ? `got ${decimalText(w.got, format)}, exact ${decimalText(w.exact, format, true)}${w.index.length ? ` at ${placeText(w.index)}` : ''}${share}` : '';
    return [r.message, off].some(Boolean) ? el('p', {}, `${r.quantity}: `, [off, r.message].filter(Boolean).join('; ')) : null;
  }

  function quantity(r) {
    const c = caseOf(r);
    const share = r.bound_used === undefined || r.bound_used === null ? '' : short(r.bound_used);
    return el('section', { class: 'quantity' },
      el('h3', {}, r.quantity === 'value' ? 'Value ' : 'Gradient ', tag(r.verdict)),
      terms([
        ['verdict', [r.verdict, note(words.verdicts[r.verdict] || '')]],
        ['grade', r.grade && [r.grade, note((words.grades[r.grade] || '') + (r.verdict === 'pass' && r.grade === 'loose' ? '; a weak pass' : ''))]],
        ['worst error', r.ulp !== undefined && r.ulp !== null && `${short(r.ulp)} ulp`],
        ['error / bound', share && [share, note(`as a share of the loose bound; the run admits the grade ${data.threshold} and better`)]],
        ['settled by', r.tier && [r.tier, note(words.tiers[r.tier] || '')]],
        ['choice', r.choice],
        ['known deviation', r.deviation && [r.deviation, note([r.cause, r.message].filter(Boolean).join(' – '))]],
        ...why(r),
        ['kind of failure', !r.deviation && r.cause],
        ['message', !r.deviation && r.message && el('span', { class: 'message' }, r.message)],
        ['published', hasColumn(r) ? '' : publishedOf(r).join(', ')],
        ['remark', r.quantity === 'value' && c && c.remark],
        ...(permitted(r) || []),
      ].filter(([, value]) => value !== false)),
      changes.beside(r), ...[bounds(r)].flat(), elements(r), others(r));
  }

  return {
    find: id => byCheck().get(id) || byCheck().get(id.replace(/#(value|gradient)$/, '')),
    draw(results, place) {
      const r = results[0];
      byId('check').replaceChildren(...[
        el('nav', { class: 'bar', 'aria-label': 'Checks' }, place),
        el('h1', { id: 'check-title', class: 'id', tabindex: '-1' }, breakable(r.check)),
        el('p', {}, results.flatMap(x => [tag(x.verdict, `${x.quantity}: ${x.verdict}${x.grade ? ', ' + x.grade : ''}`), ' ']), changes.goneTags(r.check)),
        ...results.map(outcome),
        el('div', { class: 'columns' }, asked(r), asker(r)),
        reproduced(results, caseOf(r)),
        ...results.map(quantity), ...changes.drawGone(changes.goneOf(r.check)), inputs(r)].filter(Boolean));
    },
    gone(results, place) {
      byId('check').replaceChildren(el('nav', { class: 'bar', 'aria-label': 'Checks' }, place),
        el('h1', { id: 'check-title', class: 'id', tabindex: '-1' }, breakable(results[0].check)), ...changes.drawGone(results));
    },
    missing(id, place) {
      byId('check').replaceChildren(el('nav', { class: 'bar', 'aria-label': 'Checks' }, place),
        el('h1', { id: 'check-title', tabindex: '-1' }, 'No such check in this record'), el('p', { class: 'id' }, id),
        el('p', {}, 'It may belong to another record, or to a case that was not selected.'));
    },
  };
}
