// The list of checks: filter, order, and draw 200 rows at a time, of those found the ones from `from` to before `to`.
const STEP = 200;
const FIELDS = ['backend', 'suite', 'clause', 'format', 'origin', 'operation', 'quantity', 'deviation', 'diagnosis', 'cause', 'choice', 'message'];
const NAMES = { diagnosis: 'cause', cause: 'kind' }; // where a filter is called otherwise than in the record
const SETS = new Map([['alone', 'one backend differs'], ['open', 'left open by the spec']]);
const SELECTS = ['verdict', 'change', 'backend', 'suite', 'format', 'origin'];
const COLUMNS = [
  ['verdict', 'verdict', ''], ['check', 'case', 'id'], ['backend', 'backend', ''], ['format', 'format', ''],
  ['quantity', 'quantity', ''], ['clause', 'clause', ''], ['grade', 'grade', ''], ['ulp', 'ulp', 'num'],
  ['bound_used', 'error / bound', 'num'], ['', 'cause, kind, message', 'text'],
];

function makeList(data, words, changes) {
  const gravity = Object.keys(words.verdicts), grades = Object.keys(words.grades);
  const isWeak = r => r.verdict === 'pass' && r.grade === 'loose';
  const orders = {
    verdict: r => -gravity.indexOf(r.verdict), grade: r => r.grade ? grades.indexOf(r.grade) : -1,
    ulp: r => r.ulp ?? (r.grade === 'wrong' ? Infinity : -1), // of another class or shape: no distance is as far
    bound_used: r => r.bound_used ?? -1, change: changes.place,
  };
  const columns = changes.present ? [COLUMNS[0], ['change', 'change', ''], ...COLUMNS.slice(1)] : COLUMNS;
  const texts = new Map();
  const textOf = r => {
    if (!texts.has(r)) texts.set(r, [r.check, r.api, r.diagnosis, r.cause, r.message, r.deviation].join('\n').toLowerCase());
    return texts.get(r);
  };
  let found = [], from = 0, to = 0, state = {};

  function matches(r) {
    const v = state.verdict;
    if (v === 'failing' ? !words.failing.includes(r.verdict) : v === 'weak' ? !isWeak(r) : v && r.verdict !== v) return false;
    if (state.only && !(r.only || []).includes(state.only)) return false;
    if (state.change && !changes.matches(r, state.change)) return false;
    if (FIELDS.some(field => state[field] !== undefined && state[field] !== (r[field] || 'none') && state[field] !== r[field])) return false;
    return !state.q || textOf(r).includes(state.q.toLowerCase());
  }

  function ordered(results) {
    if (!state.sort) return results;
    const down = state.sort[0] === '-', key = down ? state.sort.slice(1) : state.sort;
    const value = orders[key] || (r => r[key] || '');
    const pairs = results.map(r => [value(r), r]);
    pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
    return pairs.map(([, r]) => r);
  }

  function row(r) {
    const word = isWeak(r) ? 'weak pass' : r.verdict;
    const verdict = tag(isWeak(r) ? 'weak' : r.verdict, r.gone === undefined ? word : word + ' before');
    const said = [r.deviation, r.diagnosis, r.cause, r.message].filter(Boolean).join(' – ');
    return el('tr', { class: r.gone === undefined ? null : 'gone' },
      td('', verdict), changes.present ? td('', changes.tags(r)) : '',
      rowHead('id', el('a', { href: addressOf({ ...state, check: r.check }), title: r.check }, breakable(r.case))),
      td('', [r.backend, r.origin && r.origin !== 'native' ? el('span', { class: 'origin' }, r.origin) : '']),
      td('', r.format), td('', r.quantity), td('', r.clause, (words.clauses[r.clause] || {}).text), td('', r.grade || '–'),
      td('num', short(r.ulp)), td('num', short(r.bound_used)), td('text said', said, said));
  }

  const body = () => byId('results').tBodies[0];

  function drawMore() {
    body().append(...found.slice(to, to + STEP).map(row));
    to = Math.min(to + STEP, found.length);
    offer();
  }

  function drawEarlier() {
    const start = Math.max(0, from - STEP);
    body().prepend(...found.slice(start, from).map(row));
    from = start;
    offer();
  }

  function offer() {
    for (const [id, left, word] of [['more', found.length - to, 'more'], ['earlier', from, 'earlier']]) {
      byId(id).hidden = left === 0;
      byId(id).textContent = `Show ${Math.min(STEP, left)} ${word} of ${left}`;
    }
  }

  function drawFrom(start) {
    from = to = start;
    body().replaceChildren();
    drawMore();
  }

  // A row far from those drawn is drawn without the thousands between.
  function rowAt(at) {
    if (at < from - STEP || at >= to + STEP) drawFrom(at - at % STEP);
    else if (at < from) drawEarlier();
    else if (at >= to) drawMore();
    return body().rows[at - from];
  }

  function drawHead() {
    const down = (state.sort || '')[0] === '-', sorted = (state.sort || '').replace('-', '');
    const heads = byId('results').tHead.rows[0];
    const focused = [...heads.cells].findIndex(cell => cell.contains(document.activeElement));
    heads.replaceChildren(...columns.map(([key, name, kind]) => {
      if (!key) return el('th', { scope: 'col', class: kind }, name);
      const is = key === sorted;
      // The first click on a measure shows the worst first.
      const next = is ? (down ? key : '-' + key) : orders[key] ? '-' + key : key;
      return el('th', { scope: 'col', class: kind, 'aria-sort': is ? (down ? 'descending' : 'ascending') : 'none' },
        el('a', { class: 'sort', href: addressOf({ ...state, check: '', sort: next }) }, name));
    }));
    if (focused >= 0) heads.cells[focused].firstElementChild.focus({ preventScroll: true });
  }

  const selectOf = name => document.querySelector(`#filters select[name=${name}]`);

  function drawFilters() {
    for (const name of SELECTS) {
      const select = selectOf(name);
      if (!select) continue; // that of changes, where there is no other record
      if (!select.options.length) fill(select, name);
      const wanted = state[name] || '';
      if (![...select.options].some(o => o.value === wanted)) select.append(el('option', { value: wanted }, wanted));
      select.value = wanted;
    }
    const search = document.querySelector('#filters input[name=q]');
    if (search.value !== (state.q || '')) search.value = state.q || ''; // leaves the cursor of whoever types alone
    for (const button of document.querySelectorAll('#filters [data-preset]')) {
      const wanted = addressOf(readAddress(button.dataset.preset));
      button.setAttribute('aria-pressed', String(wanted === addressOf({ ...state, check: '', sort: '' })));
    }
    const chips = ['only', 'change', ...FIELDS].filter(f => state[f] && !(SELECTS.includes(f) && selectOf(f)));
    byId('chips').replaceChildren(...chips.map(f =>
      el('a', { href: addressOf({ ...state, [f]: '' }), title: 'Remove this filter' }, `${NAMES[f] || f}: ${f === 'only' && SETS.get(state[f]) || state[f]} `, el('span', { 'aria-hidden': 'true' }, '×'))));
  }

  function fill(select, name) {
    if (name === 'change') {
      select.append(el('option', { value: '' }, 'all'), ...changes.options(data.results).map(([value, text]) => el('option', { value }, text)));
      return;
    }
    const counts = new Map();
    for (const r of data.results) counts.set(r[name] || 'none', (counts.get(r[name] || 'none') || 0) + 1);
    const extra = name === 'verdict' ? [['failing', data.results.filter(r => words.failing.includes(r.verdict)).length],
      ['weak', data.results.filter(isWeak).length]] : [];
    select.append(el('option', { value: '' }, 'any'));
    for (const [value, count] of [...extra, ...counts]) select.append(el('option', { value }, `${value} (${count})`));
  }

  return {
    get found() { return found; },
    drawMore, drawEarlier, rowAt,
    placeOf: row => from + row.sectionRowIndex,
    filter(next) {
      state = next;
      // What only the other record holds is a result of this one in no other list.
      found = ordered([...data.results, ...(state.change ? changes.gone : [])].filter(matches));
    },
    draw() {
      const gone = found.filter(r => r.gone !== undefined).length;
      const elsewhere = gone ? `${gone} that only the other record holds` : '';
      const here = found.length > gone ? `${found.length - gone} of ${data.results.length} results` : '';
      byId('shown').textContent = found.length ? [here, elsewhere].filter(Boolean).join(', and ') : `No result matches; ${data.results.length} are there. Press “All” to see them.`;
      drawFilters();
      drawHead();
      drawFrom(0);
    },
  };
}
