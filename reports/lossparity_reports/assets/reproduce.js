// How one check is repeated: commands to copy, and the script that stands alone, its own or that of its cause's simplest.
function makeReproducers(data, words) {
  const { options, functions, names, convention } = data.commands;
  const own = new Map(data.scripts.map(s => [s.check + '#' + s.quantity, s]));
  const standing = new Map(data.scripts.map(s => [s.of + '\n' + s.check.slice(s.check.indexOf('@') + 1), s]));
  const deviates = r => r.verdict === 'known' || words.failing.includes(r.verdict);

  function show(r, name, more) {
    const target = functions[r.backend];
    const called = name.replace('@' + r.backend, () => '@' + (names[r.backend] || r.backend));
    return ['lossparity show', quoted(called), target ? '--target ' + quoted(target) : '', options, more].filter(Boolean).join(' ');
  }

  function commands(results, c) {
    const r = results[0], deviating = results.filter(deviates);
    if ((functions[r.backend] || '').startsWith('pickle:')) {
      const call = `lossparity.check(…, case=${JSON.stringify(r.case)}, format=${JSON.stringify(r.format)})`;
      return [['from a program', copiedLine(call, 'call')]];
    }
    const name = deviating.length === 1 && results.length > 1 ? `${r.check}#${deviating[0].quantity}` : r.check;
    const refused = unwritten(r, c), [, version] = r.backend.split('@');
    return [
      ['not the same', convention && `this run went by --convention ${convention}; these commands go by the spec’s own`],
      ['where', version && !(names[r.backend] || '@').includes('@') && `in an environment of the version ${version}`],
      ['number by number', copiedLine(show(r, r.check), 'command that shows it number by number')],
      ['as a script', refused ? 'none: ' + refused : copiedLine(show(r, name, '--script'), 'command that prints it as a script')],
      ['as an issue', deviating.length && !refused && copiedLine(show(r, name, '--issue'), 'command that prints it as an issue')],
    ].filter(([, value]) => value);
  }

  function unwritten(r, c) {
    if (convention) return 'a script goes by the spec’s own convention';
    if (/\+/.test(r.backend.split('@')[0])) return 'the call is compiled, and a script makes it eagerly';
    return c && c.how && c.how.length ? 'it is more than one plain call (see “calls” above)' : '';
  }

  function link(script, text) {
    return el('a', { href: addressOf({ ...readAddress(), check: script.check }) }, text || breakable(script.check));
  }

  function script(r) {
    const of = r.deviation || r.diagnosis, mine = own.get(r.check + '#' + r.quantity), first = standing.get(of + '\n' + r.backend);
    const title = 'script of the ' + r.quantity;
    if (mine && mine.text) {
      const lines = mine.text.trimEnd().split('\n').length;
      const file = `${r.check}-${r.quantity}`.replace(/[^\w.=-]+/g, '-').slice(-120) + '.py';
      const ends = { crash: 'It crashes as the check did', timeout: 'It comes to no end, as the check did' }[r.verdict];
      const needs = r.origin === 'target' ? ` loads ${r.api} and what that imports` : ' stands alone: it needs the framework and NumPy, nothing of lossparity';
      return [el('p', {}, el('b', {}, 'The ' + title), `${needs}. ${ends || 'It exits with 1 while the result deviates'}, and with 0 once it conforms.`),
        el('p', { class: 'copies' }, copyButton(mine.text, title), ' ', saveButton(mine.text, file)),
        el('details', { class: 'block' }, el('summary', {}, `The ${title}, ${lines} lines`),
          el('pre', { tabindex: '0', role: 'region', 'aria-label': 'The ' + title }, el('code', {}, mine.text)))];
    }
    if (mine) return el('p', {}, `The record holds no ${title}: ${mine.why}.`);
    if (first && first.text && first.check === r.check) return []; // it stands above
    if (first && first.text) {
      return el('p', {}, `The record holds a script of the simplest result of the same ${r.deviation ? 'known deviation' : 'cause'} on this backend: `, link(first), '.');
    }
    if (first) return el('p', {}, `The record holds no script of this ${r.deviation ? 'deviation' : 'cause'}: ${first.why}.`);
    return el('p', {}, `The record holds no ${title}`, data.scripts.length ? ': it has those of some causes only.' : '.');
  }

  return (results, c) => {
    const nodes = results.filter(deviates).flatMap(script);
    const said = new Map(nodes.map(node => [node.querySelector('button') ? node : node.textContent, node])); // the same of both, once
    return el('section', { class: 'reproduce' }, el('h3', {}, 'Reproduce it'), terms(commands(results, c)), ...said.values());
  };
}
