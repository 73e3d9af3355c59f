// Making elements. Every string becomes a text node: nothing from a record is ever read as markup.
const byId = id => document.getElementById(id);

// What takes a while to make, made when it is first asked for.
function once(make) {
  let made;
  return () => made ??= make();
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64); // browsers since 2025
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i); // a tenth of the time of Uint8Array.from
  return bytes;
}

// What an element holds as gzip in base64, inflated.
async function inflated(id) { // a promise, also of what an old browser lacks
  const bytes = bytesOf(byId(id).textContent.trim());
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip')));
}

function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== undefined && value !== null && value !== false) node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.flat().filter(child => child !== null && child !== undefined && child !== '').map(c => typeof c === 'number' ? String(c) : c));
  return node;
}

function icon(verdict) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  use.setAttribute('href', '#i-' + verdict);
  svg.append(use);
  return svg;
}

function tag(verdict, word) {
  return el('span', { class: 'tag v-' + verdict }, icon(verdict), word || verdict);
}

// An id may break after its slashes only.
function breakable(text) {
  return text.split('/').flatMap((part, i) => i ? [el('wbr'), part] : [part])
    .map((part, i, all) => typeof part === 'string' && i < all.length - 1 ? part + '/' : part);
}

// A list of terms; entries without a value are left out.
function terms(entries) {
  return el('dl', { class: 'words' }, entries
    .filter(([, value]) => value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && !value.length))
    .map(([term, value]) => el('div', {}, el('dt', {}, term), el('dd', {}, ...[value].flat()))));
}

// A table with real headers: `head` holds [text, class], a row holds cells made by `td` or text.
function table(caption, head, rows, attributes) {
  return el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    el('table', attributes,
      el('caption', {}, caption),
      el('thead', {}, el('tr', {}, head.map(([text, kind]) => el('th', { scope: 'col', class: kind }, text)))),
      el('tbody', {}, rows)));
}

const td = (kind, content, title) => el('td', { class: kind, title }, ...[content].flat());
const rowHead = (kind, content) => el('th', { scope: 'row', class: kind }, ...[content].flat());
const note = text => el('small', {}, text);
