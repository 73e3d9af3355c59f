// Runs before the first paint: the remembered theme, and the class that shows what only a script can draw.
document.documentElement.classList.add('js');
try {
  const theme = localStorage.getItem('lossparity-theme');
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
} catch { /* storage is off: follow the system */ }
