// The state of the page is its address: `#key=value&…`. A link repeats the filter, the order and the open check.
const KEYS = ['check', 'verdict', 'change', 'only', 'backend', 'suite', 'clause', 'format', 'origin', 'operation', 'quantity',
  'deviation', 'diagnosis', 'cause', 'choice', 'message', 'q', 'sort'];

function readAddress(text = location.hash.slice(1)) {
  const state = {};
  for (const part of text.split('&')) {
    const cut = part.indexOf('='); // an id may hold further ones
    const key = part.slice(0, cut);
    if (cut < 1 || !KEYS.includes(key)) continue;
    const value = part.slice(cut + 1);
    try {
      state[key] = decodeURIComponent(value);
    } catch {
      state[key] = value; // a stray % typed by hand
    }
  }
  return state;
}

function addressOf(state) {
  const parts = KEYS.filter(key => state[key]).map(key =>
    key + '=' + encodeURIComponent(state[key]).replace(/%(2F|40|3A|3D|2C)/g, escaped => decodeURIComponent(escaped)));
  return '#' + (parts.join('&') || 'list'); // without a filter: the element of that id
}

// Typing in the search box replaces the entry in the history; following a link makes one.
function replaceAddress(state) {
  history.replaceState(null, '', addressOf(state));
}
