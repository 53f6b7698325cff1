// Dark or light: the system's choice, unless the user chose otherwise. Runs before the first paint, hence no module.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => root.dataset.theme;
  const shown = () => chosen() ?? (system.matches ? "dark" : "light");

  function save(theme) {
    try {
      if (theme) localStorage.setItem("theme", theme);
      else localStorage.removeItem("theme");
    } catch {
      // storage is disabled: the choice lasts as long as the page
    }
  }

  function restore() {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null;
    }
  }

  function choose(theme) {
    if (theme === "dark" || theme === "light") root.dataset.theme = theme;
    else delete root.dataset.theme;
    for (const meta of document.querySelectorAll("meta[name=theme-color]")) {
      const { theme: metaTheme } = meta.dataset;
      meta.media = chosen() ? (chosen() === metaTheme ? "all" : "not all") : `(prefers-color-scheme: ${metaTheme})`;
    }
    dispatchEvent(new Event("themechange"));
  }

  function toggle() {
    const other = shown() === "dark" ? "light" : "dark";
    const choice = other === (system.matches ? "dark" : "light") ? null : other;
    save(choice);
    choose(choice);
  }

  choose(restore());
  system.addEventListener("change", () => dispatchEvent(new Event("themechange")));
  addEventListener("storage", ({ key, newValue }) => key === "theme" && choose(newValue));
  addEventListener("DOMContentLoaded", () =>
    document.querySelector("#theme").addEventListener("click", toggle),
  );
})();
