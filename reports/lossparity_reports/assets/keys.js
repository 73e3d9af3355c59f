// The keyboard. Keys are left alone while someone types, chooses, or holds a modifier.
function listenToKeys(actions) {
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || byId('help').open) return;
    const typing = event.target.closest('input, select, textarea');
    if (typing && event.key === 'Escape') typing.blur();
    const action = typing ? undefined : actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
