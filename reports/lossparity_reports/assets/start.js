// Putting it together: the payload is read, then the address decides what is shown.
function foldMatrix() {
  const buttons = [...document.querySelectorAll('#matrix .fold')];
  const set = (button, open) => {
    button.setAttribute('aria-expanded', String(open));
    button.closest('tbody').classList.toggle('closed', !open);
  };
  for (const button of buttons) {
    set(button, false);
    button.addEventListener('click', () => set(button, button.getAttribute('aria-expanded') === 'false'));
  }
  const all = byId('unfold');
  if (!all) return;
  all.addEventListener('click', () => {
    const open = all.getAttribute('aria-expanded') === 'false';
    all.setAttribute('aria-expanded', String(open));
    all.textContent = open ? 'Hide all clauses' : 'Show all clauses';
    buttons.forEach(button => set(button, open));
  });
}

function run(data) {
  const words = data.vocabulary, changes = makeChanges(data, words), list = makeList(data, words, changes), check = makeCheck(data, words, changes);
  const form = byId('filters'), search = form.elements.q, title = document.title;
  let shownFilter = null, scrolled = 0, at = -1;

  const checksFound = () => [...new Set(list.found.map(r => r.check))];
  const go = state => {
    history.pushState(null, '', addressOf(state));
    show();
  };

  function place(state) {
    const ids = checksFound(), here = ids.indexOf(state.check);
    const link = (id, text) => id ? el('a', { href: addressOf({ ...state, check: id }) }, text) : el('span', { class: 'off' }, text);
    const back = el('a', { id: 'back', href: addressOf({ ...state, check: '' }) }, 'All checks');
    const top = el('a', { id: 'summary', href: '#' }, 'Summary');
    return [el('span', { class: 'steps' }, top, ' ', back),
      el('span', { class: 'steps' }, link(ids[here - 1], 'Previous'), here < 0 ? '' : ` ${here + 1} of ${ids.length} `, link(ids[here + 1], 'Next'))];
  }

  function show(first) {
    const state = readAddress(), filter = addressOf({ ...state, check: '' });
    const changed = filter !== shownFilter;
    if (changed) list.filter({ ...state, check: '' });
    const one = byId('check'), overview = byId('overview');
    if (state.check) {
      if (!overview.hidden) scrolled = window.scrollY;
      if (changed) list.draw();
      const results = check.find(state.check), gone = changes.goneOf(state.check);
      if (results) check.draw(results, place(state));
      else if (gone.length) check.gone(gone, place(state));
      else check.missing(state.check, place(state));
      at = list.found.findIndex(r => r.check === state.check);
      document.title = state.check + ' – lossparity';
      overview.hidden = true;
      one.hidden = false;
      window.scrollTo(0, 0);
      if (!first) byId('check-title').focus({ preventScroll: true });
    } else {
      const cameBack = overview.hidden;
      one.hidden = true;
      overview.hidden = false;
      document.title = title;
      if (changed) list.draw();
      if (cameBack && location.hash.length < 2) { // to the summary
        window.scrollTo(0, 0);
      } else if (cameBack) {
        window.scrollTo(0, scrolled);
        focusRow();
      } else if (changed && filter !== addressOf({})) {
        reveal(byId('list'));
      }
    }
    shownFilter = filter;
  }

  function reveal(section) { // a link from above was followed: a list that is in view already stays where it is
    const { top, bottom } = section.getBoundingClientRect();
    if (top > window.innerHeight / 2 || bottom < 0) section.scrollIntoView();
  }

  function focusRow() {
    const row = at < 0 ? undefined : list.rowAt(at);
    if (row) row.querySelector('a').focus();
  }

  function step(by) {
    const state = readAddress();
    if (state.check) {
      const ids = checksFound(), next = ids[ids.indexOf(state.check) + by];
      if (next) go({ ...state, check: next });
    } else {
      const row = document.activeElement.closest('#results tbody tr');
      at = Math.max(0, Math.min(list.found.length - 1, row ? list.placeOf(row) + by : at < 0 ? 0 : at + by));
      focusRow();
    }
  }

  function nextFailure() {
    const state = readAddress();
    const failing = [...new Set(data.results.filter(r => words.failing.includes(r.verdict)).map(r => r.check))];
    if (failing.length) go({ ...state, check: failing[(failing.indexOf(state.check) + 1) % failing.length] });
    else byId('shown').textContent = 'There is no failure.';
  }

  const help = () => byId('help').showModal();
  listenToKeys({
    '/': () => { if (readAddress().check) go({ ...readAddress(), check: '' }); setTimeout(() => { search.focus(); search.select(); }); },
    j: () => step(1), k: () => step(-1), f: nextFailure, '?': help,
    Escape: () => { if (readAddress().check) go({ ...readAddress(), check: '' }); },
  });
  byId('keys').addEventListener('click', help);
  byId('more').addEventListener('click', () => list.drawMore());
  byId('earlier').addEventListener('click', () => list.drawEarlier());
  form.addEventListener('submit', event => event.preventDefault());
  form.addEventListener('change', event => {
    if (event.target !== search) go({ ...readAddress(), [event.target.name]: event.target.value });
  });
  let wait;
  search.addEventListener('input', () => {
    clearTimeout(wait);
    wait = setTimeout(() => { replaceAddress({ ...readAddress(), q: search.value }); show(); }, 120);
  });
  for (const button of form.querySelectorAll('[data-preset]')) {
    button.addEventListener('click', () => go({ ...readAddress(button.dataset.preset), sort: readAddress().sort }));
  }
  window.addEventListener('hashchange', () => show());
  window.addEventListener('popstate', () => show());
  show(true);
}

foldMatrix();
listenToCopies();
makeCharts();
readPayload().then(run).catch(error => {
  byId('shown').textContent = `The results cannot be read by this browser: ${error.message}`;
});
