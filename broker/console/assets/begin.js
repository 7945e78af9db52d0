// What is done before anything is painted: sets the chosen theme, and asks who is there
// while the modules are still on their way. A file of its own, and no module, since the
// page allows no inline script.
(function () {
  window.tarnSession = fetch('/api/session', { headers: { Accept: 'application/json', 'Tarn-Console': '1' }, credentials: 'same-origin' });
  window.tarnSession.catch(function () { /* app.js says so */ });
  try {
    var theme = localStorage.getItem('tarn.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
    // Who has to sign in does not see the frame before.
    if (localStorage.getItem('tarn.asked')) document.documentElement.classList.add('asked');
  } catch (e) { /* no storage: the system's theme holds */ }
  // The modules are asked for once the frame is on its way to the screen: a browser that
  // has just begun paints later beside their loading. A page in the background has no
  // frames, and goes on by the clock.
  var begun = false;
  function begin() {
    if (begun) return;
    begun = true;
    var links = document.querySelectorAll('link[data-module]');
    links.forEach(function (link) { /** @type {HTMLLinkElement} */ (link).rel = 'modulepreload'; });
    var program = document.createElement('script');
    program.type = 'module';
    program.src = /** @type {HTMLLinkElement} */ (links[0]).href;
    document.head.append(program);
  }
  requestAnimationFrame(function () { setTimeout(begin); });
  setTimeout(begin, 200);
})();
