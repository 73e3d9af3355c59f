// Copying and saving. A button holds what it copies, so that it works in what the script draws and in what was written.
const COPIED_FOR = 2000; // milliseconds that a button says so

const quoted = text => /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;

function copyButton(text, what) {
  return el('button', { type: 'button', class: 'copy', 'data-copies': text }, el('span', {}, 'Copy'), el('span', { class: 'unseen' }, ' the ' + what));
}

function copiedLine(command, what) {
  const words = command.split(' ').flatMap((word, i) => [i ? ' ' : '', word.startsWith('--') ? el('span', { class: 'nowrap' }, word) : word]);
  return [el('code', { class: 'command' }, words), ' ', copyButton(command, what)];
}

async function copyText(text) { // a browser may keep the clipboard from a page that comes from disk
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el('textarea', { class: 'unseen', 'aria-hidden': 'true', tabindex: '-1', readonly: true }), before = document.activeElement;
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    before.focus({ preventScroll: true });
    return done;
  }
}

function listenToCopies() {
  document.addEventListener('click', async event => {
    const button = event.target.closest('button.copy');
    if (!button) return;
    const [word, what] = button.children, done = await copyText(button.dataset.copies);
    word.textContent = done ? 'Copied' : 'Not copied';
    byId('copied').textContent = done ? 'Copied' + what.textContent : 'Not copied. This browser lets no page do that: select the text, and press Ctrl+C.';
    clearTimeout(button.wait);
    button.wait = setTimeout(() => {
      word.textContent = 'Copy';
      byId('copied').textContent = '';
    }, COPIED_FOR);
  });
}

function saveButton(text, name) {
  const button = el('button', { type: 'button', class: 'save' }, 'Save as ' + name);
  button.addEventListener('click', () => {
    const address = URL.createObjectURL(new Blob([text], { type: 'text/x-python' }));
    el('a', { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), COPIED_FOR);
  });
  return button;
}
