// Sets the chosen theme before anything is painted, and asks who is there while the
// modules are still on their way. A file of its own, and no module, since the page
// allows no inline script.
(function () {
  window.tarnSession = fetch('/api/session', { headers: { Accept: 'application/json', 'Tarn-Console': '1' }, credentials: 'same-origin' });
  window.tarnSession.catch(function () { /* app.js says so */ });
  try {
    var theme = localStorage.getItem('tarn.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
    // Who has to sign in does not see the frame before.
    if (localStorage.getItem('tarn.asked')) document.documentElement.classList.add('asked');
  } catch (e) { /* no storage: the system's theme holds */ }
})();
