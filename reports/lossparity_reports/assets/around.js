// On every page.
const THEMES = ['auto', 'light', 'dark'];

function showTheme() {
  byId('theme').textContent = 'Theme: ' + (document.documentElement.dataset.theme || 'auto');
}

function nextTheme() {
  const root = document.documentElement;
  const next = THEMES[(THEMES.indexOf(root.dataset.theme || 'auto') + 1) % THEMES.length];
  if (next === 'auto') delete root.dataset.theme;
  else root.dataset.theme = next;
  try {
    localStorage.setItem('lossparity-theme', next);
  } catch { /* storage is off: it lasts as long as the page */ }
  showTheme();
}

function jump(event) { // inside the page, and without losing the filter that the address holds
  const target = byId(event.target.hash.slice(1));
  event.preventDefault();
  target.tabIndex = -1;
  target.scrollIntoView();
  target.focus({ preventScroll: true });
}

showTheme();
byId('theme').addEventListener('click', nextTheme);
for (const link of document.querySelectorAll('a.jump')) link.addEventListener('click', jump);
