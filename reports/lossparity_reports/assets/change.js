// Against another record: how a result changed, what it was before, and the results that only the other record holds.
const UNCHANGED = 'none', ANY_CHANGE = 'any', REGRESSION = 'regression';
const WHOLE = new Map([[ANY_CHANGE, 'any change'], [REGRESSION, 'regression'], [UNCHANGED, 'unchanged']]);

function makeChanges(data, words) {
  const against = data.against, kinds = new Map((against ? against.kinds : []).map(kind => [kind.name, kind]));
  const order = [...kinds.keys()], gone = against ? against.gone : [];
  const changesOf = r => (r.change || []).filter(name => kinds.has(name));
  const regressed = r => changesOf(r).some(name => kinds.get(name).sign === 'regressed');

  function matches(r, wanted) {
    if (wanted === ANY_CHANGE) return changesOf(r).length > 0;
    if (wanted === REGRESSION) return regressed(r);
    if (wanted === UNCHANGED) return Boolean(against) && !r.apart && !changesOf(r).length;
    return changesOf(r).includes(wanted);
  }

  function tags(r) {
    return changesOf(r).flatMap(name => [tag(kinds.get(name).sign, kinds.get(name).said), ' ']);
  }

  function said(wanted) {
    return kinds.has(wanted) ? kinds.get(wanted).said : WHOLE.get(wanted);
  }

  function options(results) {
    const all = [...results, ...gone];
    return [ANY_CHANGE, REGRESSION, ...order, UNCHANGED].map(name => [name, all.filter(r => matches(r, name)).length])
      .filter(([name, count]) => count || !kinds.has(name)).map(([name, count]) => [name, `${said(name)} (${count})`]);
  }

  const measures = r => [
    ['verdict', r.verdict && tag(r.verdict), r.verdict], ['grade', r.grade], ['worst error, ulp', shown(r.ulp)],
    ['error / bound', shown(r.bound_used)], ['choice', r.choice], ['known deviation', r.deviation],
    ['kind of failure', r.cause], ['message', r.message],
  ];
  const shown = value => value === undefined || value === null ? '' : short(value);

  function sides(before, now, caption) {
    const was = measures(before), is = measures(now), text = ([, drawn, plain]) => (plain ?? drawn) || '';
    if (was.every((one, i) => text(one) === text(is[i]))) return null;
    const rows = was.map((one, i) => !text(one) && !text(is[i]) ? null : el('tr', {}, rowHead('', one[0]),
      td('text', one[1] || '–'), td('text', is[i][1] || '–'), td('', text(one) === text(is[i]) ? 'same' : el('b', {}, 'differs'))));
    return table(caption, [['', ''], ['before', 'text'], ['now', 'text'], ['', '']], rows.filter(Boolean), { class: 'sides' });
  }

  // What stands in one quantity of a check about what it was before.
  function beside(r) {
    if (!against) return null;
    if (r.apart) return el('p', { class: 'lead' }, `Not compared with ${against.name}.`);
    const drawn = tags(r);
    const heading = el('p', {}, `Against ${against.name}: `, drawn.length ? drawn : 'unchanged', r.reason ? note(r.reason) : '');
    return r.before ? [heading, sides(r.before, r, `Before, in ${against.name}, and now`)] : heading;
  }

  function drawGone(results) { // a check of which this record holds nothing, or not this quantity
    return results.map(r => el('section', { class: 'quantity' },
      el('h3', {}, r.quantity === 'value' ? 'Value ' : 'Gradient ', tags(r)),
      el('p', {}, `Only ${against.name} holds this result${r.gone ? ': ' + r.gone : '.'}`),
      terms([
        ['clause', words.clauses[r.clause] ? `${r.clause}: ${words.clauses[r.clause].text}` : r.clause], ['backend', r.backend],
        ['API called', r.api && el('code', {}, r.api)], ...measures(r).map(([name, drawn]) => [name + ' before', drawn]),
      ])));
  }

  return {
    gone, matches, tags, options, beside, drawGone,
    present: Boolean(against),
    place: r => order.length - Math.min(order.length, ...changesOf(r).map(name => order.indexOf(name))),
    goneTags: id => gone.filter(r => r.check === id).map(r => tag(kinds.get(r.change[0]).sign, `${r.quantity}: ${kinds.get(r.change[0]).said}`)),
    goneOf: id => gone.filter(r => r.check === id),
  };
}
