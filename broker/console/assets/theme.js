// Sets the chosen theme before anything is painted. A file of its own, and no module,
// since the page allows no inline script.
(function () {
  try {
    var theme = localStorage.getItem('tarn.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch (e) { /* no storage: the system's theme holds */ }
})();
